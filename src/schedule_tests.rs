use super::*;
use crate::clock;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(15);
/// The jitter for the maximum of a back-off.
const ALL: f64 = 0.999_999;

/// Converts between seconds and instants.
struct Clock(Instant);

impl Clock {
    fn at(&self, seconds: f64) -> Instant {
        self.0 + Duration::from_secs_f64(seconds)
    }

    fn seconds(&self, moment: Instant) -> f64 {
        (moment - self.0).as_secs_f64()
    }
}

/// A schedule with the default interval, its first attempt at 0 and ticks at 15, 30, 45 and so on.
fn fresh() -> (Clock, Schedule) {
    let clock = Clock(clock::now());
    let schedule = Schedule::new(clock.0, INTERVAL, 0.0);
    (clock, schedule)
}

#[test]
fn the_first_attempt_is_at_once_and_the_second_at_the_phase() {
    let clock = Clock(clock::now());
    let mut schedule = Schedule::new(clock.0, INTERVAL, 0.4);
    let mut dues = Vec::new();
    for _ in 0..4 {
        let due = schedule.due();
        dues.push(clock.seconds(due));
        schedule.succeeded(due, due + SECOND / 10);
    }
    assert_eq!(dues, [0.0, 6.0, 21.0, 36.0]);
}

#[test]
fn an_attempt_that_takes_longer_is_followed_at_once_and_the_ticks_stay_where_they_are() {
    for (took, next) in [(14.9, [15.0, 30.0]), (20.0, [20.0, 30.0]), (50.0, [50.0, 60.0])] {
        let (clock, mut schedule) = fresh();
        schedule.succeeded(clock.0, clock.at(took));
        let first = schedule.due();
        schedule.succeeded(first, first + SECOND / 10);
        assert_eq!([first, schedule.due()].map(|due| clock.seconds(due)), next, "after {took} s");
    }
}

#[test]
fn a_wait_that_the_process_slept_through_is_one_attempt() {
    let (clock, mut schedule) = fresh();
    schedule.succeeded(clock.0, clock.at(0.1));
    schedule.succeeded(clock.at(100_003.0), clock.at(100_003.1));
    assert_eq!(clock.seconds(schedule.due()), 100_005.0);
}

#[test]
fn a_timer_that_is_early_does_not_make_two_attempts_of_a_tick() {
    let (clock, mut schedule) = fresh();
    schedule.succeeded(clock.0, clock.at(0.1));
    schedule.succeeded(clock.at(14.999), clock.at(14.999_5));
    assert_eq!(clock.seconds(schedule.due()), 30.0);
}

#[test]
fn a_minutes_outage_ends_within_a_back_off_and_costs_no_tick_after_it() {
    let (clock, mut schedule) = fresh();
    schedule.succeeded(clock.0, clock.at(0.1));
    let mut failures = 0;
    while schedule.due() < clock.at(75.0) {
        schedule.failed(schedule.due(), ALL);
        failures += 1;
    }
    assert!((15..25).contains(&failures), "{failures}");
    let good = clock.seconds(schedule.due());
    assert!(good < 80.0, "{good}");
    schedule.succeeded(clock.at(good), clock.at(good + 0.1));
    assert_eq!(clock.seconds(schedule.due()), if good < 75.0 { 75.0 } else { 90.0 });
}

#[test]
fn a_back_off_doubles_up_to_its_longest_and_is_short_again_after_a_success() {
    let (clock, mut schedule) = fresh();
    let mut waits = |jitter| {
        let mut waits = Vec::new();
        for _ in 0..9 {
            schedule.failed(clock.0, jitter);
            waits.push((clock.seconds(schedule.due()) * 10.0).round() / 10.0);
        }
        schedule.succeeded(clock.0, clock.0);
        waits
    };
    let doubled = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0];
    assert_eq!(waits(ALL), doubled);
    assert_eq!(waits(ALL), doubled, "after a success");
    schedule.failed(clock.0, 0.0);
    assert_eq!(schedule.due(), clock.at(0.05), "the shortest, whatever the jitter");
}

#[test]
fn a_restart_is_at_once_but_for_a_back_off() {
    let (clock, mut schedule) = fresh();
    let restarted = |schedule: &Schedule| {
        let mut schedule = schedule.clone();
        schedule.restart(clock.at(2.0), 10 * INTERVAL);
        clock.seconds(schedule.due())
    };
    schedule.succeeded(clock.0, clock.at(0.1));
    assert_eq!(restarted(&schedule), 2.0);
    schedule.retry_in(clock.at(1.0), 100 * SECOND);
    assert_eq!((clock.seconds(schedule.due()), restarted(&schedule)), (101.0, 2.0));
    (0..9).for_each(|_| schedule.failed(clock.at(1.0), 0.8));
    assert_eq!((clock.seconds(schedule.due()), restarted(&schedule)), (5.0, 5.0));
}

/// An event in the life of a loop.
#[derive(Debug, Clone)]
enum Event {
    /// An attempt that begins this late and takes this long.
    Attempt {
        late: Duration,
        took: Duration,
        ends: Ends,
    },
    /// A changed interval during a wait, after this share of it, with or without a restart.
    Restart {
        at: f64,
        interval: Duration,
    },
    Every {
        at: f64,
        interval: Duration,
    },
}

#[derive(Debug, Clone, Copy)]
enum Ends {
    Well,
    /// With this jitter.
    Badly(f64),
    /// With a wait that the caller asks for.
    For(Duration),
}

fn intervals() -> impl Strategy<Value = Duration> {
    prop_oneof![
        3 => Just(INTERVAL),
        1 => Just(SECOND / 10),
        2 => (100..86_400_000_u64).prop_map(Duration::from_millis),
    ]
}

/// Mostly short, sometimes about an interval, several intervals, or a month.
fn times() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0..100_000_u64).prop_map(Duration::from_micros),
        3 => (0..100_000_000_u64).prop_map(Duration::from_micros),
        1 => (0..30 * 86_400_u64).prop_map(Duration::from_secs),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    let late = prop_oneof![5 => Just(Duration::ZERO), 1 => times()];
    let ends = prop_oneof![
        4 => Just(Ends::Well),
        4 => (0.0..1.0).prop_map(Ends::Badly),
        1 => times().prop_map(Ends::For),
    ];
    let attempt = (late, times(), ends).prop_map(|(late, took, ends)| Event::Attempt { late, took, ends });
    prop_oneof![
        8 => attempt,
        1 => (0.0..1.0, intervals()).prop_map(|(at, interval)| Event::Restart { at, interval }),
        1 => (0.0..1.0, intervals()).prop_map(|(at, interval)| Event::Every { at, interval }),
    ]
}

/// A loop with a schedule, and the properties that must hold.
struct Looping {
    schedule: Schedule,
    interval: Duration,
    now: Instant,
    /// Begin, end and result of the last attempt.
    last: Option<(Instant, Instant, Ends)>,
    /// A time at which an attempt was regularly due, at the current interval.
    tick: Option<Instant>,
}

impl Looping {
    fn new(interval: Duration, phase: f64) -> Self {
        let now = clock::now();
        Self { schedule: Schedule::new(now, interval, phase), interval, now, last: None, tick: None }
    }

    fn live(&mut self, event: &Event) {
        let due = self.schedule.due();
        match *event {
            Event::Attempt { late, took, ends } => {
                let began = due.max(self.now) + late;
                self.now = began + took;
                match ends {
                    Ends::Well => self.schedule.succeeded(began, self.now),
                    Ends::Badly(jitter) => self.schedule.failed(self.now, jitter),
                    Ends::For(wait) => self.schedule.retry_in(self.now, wait),
                }
                self.last = Some((began, self.now, ends));
                match ends {
                    Ends::Well => self.check_haste(began),
                    Ends::Badly(_) => {}
                    Ends::For(wait) => {
                        assert_eq!(self.schedule.due(), self.now + wait, "not the caller's wait")
                    }
                }
            }
            Event::Restart { at, interval } => {
                self.change(at, interval);
                self.schedule.restart(self.now, interval);
                let next = self.schedule.due();
                assert!(next <= due.max(self.now), "a restart delays the next attempt");
                let is_backing_off = matches!(self.last, Some((_, _, Ends::Badly(_))));
                assert!(is_backing_off || next <= self.now, "a restart is not at once");
            }
            Event::Every { at, interval } => {
                let is_shorter = interval < self.interval;
                self.change(at, interval);
                self.schedule.every(interval);
                if let (Some((_, ended, Ends::For(_))), true) = (self.last, is_shorter) {
                    assert!(
                        self.schedule.due() <= ended + interval,
                        "a wait is longer than a shorter interval"
                    );
                }
            }
        }
        self.check();
    }

    /// Changes the interval after this share of the wait.
    fn change(&mut self, at: f64, interval: Duration) {
        let wait = self.schedule.due().saturating_duration_since(self.now);
        self.now += wait.mul_f64(at);
        if interval != self.interval {
            (self.interval, self.tick) = (interval, None);
        }
    }

    /// After a success the next attempt is at once only if a tick has passed since it began.
    fn check_haste(&self, began: Instant) {
        let (Some(tick), ended) = (self.tick, self.now) else { return };
        if self.schedule.due() == ended {
            let nanos =
                |earlier: Instant, later: Instant| (later - earlier).as_nanos() % self.interval.as_nanos();
            let since_tick =
                if tick > ended { self.interval.as_nanos() - nanos(ended, tick) } else { nanos(tick, ended) };
            assert!((ended - began).as_nanos() > since_tick, "at once although no tick was missed");
        }
    }

    fn check(&mut self) {
        let Some((began, ended, ends)) = self.last else { return };
        let next = self.schedule.due();
        assert!(next >= ended, "two at once");
        match ends {
            Ends::Well => {
                assert!(next <= self.now.max(began + self.interval), "more than an interval later");
                if next > self.now {
                    let tick = *self.tick.get_or_insert(next);
                    let apart = next.max(tick) - next.min(tick);
                    assert_eq!(apart.as_nanos() % self.interval.as_nanos(), 0, "the grid has moved");
                }
            }
            Ends::Badly(_) => {
                let (shortest, longest) = (FIRST_BACK_OFF / 2, LONGEST_BACK_OFF);
                assert!(next >= ended + shortest.min(self.interval), "sooner than the back-off");
                let latest = ended + longest.min(self.interval);
                assert!(next <= latest.max(self.now), "later than the longest back-off");
            }
            Ends::For(_) => {}
        }
    }
}

proptest! {
    #[test]
    fn the_next_attempt_is_in_time_whatever_happened(
        interval in intervals(),
        phase in 0.0..1.0,
        events in prop::collection::vec(events(), 1..60),
    ) {
        let mut looping = Looping::new(interval, phase);
        events.iter().for_each(|event| looping.live(event));
    }

    #[test]
    fn how_often_it_failed_does_not_matter_after_a_success(
        interval in intervals(),
        phase in 0.0..1.0,
        before in prop::collection::vec(events(), 0..20),
        failures in prop::collection::vec((times(), 0.0..1.0), 1..60),
        took in times(),
    ) {
        let mut looping = Looping::new(interval, phase);
        before.iter().for_each(|event| looping.live(event));
        let (mut often, mut once) = (looping.schedule.clone(), looping.schedule);
        once.failed(once.due(), 0.5);
        for (took, jitter) in failures {
            often.failed(often.due() + took, jitter);
        }
        let began = often.due().max(once.due());
        often.succeeded(began, began + took);
        once.succeeded(began, began + took);
        prop_assert_eq!(often, once);
    }
}

#[test]
fn a_delivery_is_repeated_after_a_pause_that_doubles_up_to_a_minute() {
    let pauses = |jitter| -> Vec<f64> {
        let mut back_off = DeliveryBackOff::default();
        (0..8).map(|_| back_off.failed(jitter).as_secs_f64()).collect()
    };
    assert_eq!(pauses(0.0), [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
    assert!(
        pauses(0.999).iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]).all(|(it, most)| *it <= most)
    );
}
