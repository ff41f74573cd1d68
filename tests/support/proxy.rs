//! Something between the sidecar and Redis that others put there: it switches servers, cuts, delays, changes and adds.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the sidecar: commands.
    ToServer,
    /// From Redis: replies.
    ToClient,
}

/// What becomes of a connection once its bytes were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The bytes go on, as the rule left them.
    Pass,
    /// The bytes go on, and both ends are closed.
    PassAndClose,
    /// Both ends are closed, and the bytes are lost.
    Close,
    /// The bytes are lost, and the connection stays open.
    Swallow,
}

type Rule = Box<dyn FnMut(Direction, &mut Vec<u8>) -> Act + Send>;

struct State {
    upstream: AtomicU16,
    rule: Mutex<Rule>,
    /// In milliseconds; 0 for none.
    idle_timeout: AtomicU64,
    accepted: AtomicUsize,
    /// Connections of an earlier one are closed.
    generation: AtomicUsize,
}

/// A running proxy on the loopback. Its threads end with the test's process, its connections when it is dropped.
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

/// How long a thread waits for bytes before it looks whether the connection is still wanted.
const TURN: Duration = Duration::from_millis(10);

impl Proxy {
    /// Passes everything on to a port of this machine.
    pub fn to(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            upstream: AtomicU16::new(upstream),
            rule: Mutex::new(Box::new(|_, _| Act::Pass)),
            idle_timeout: AtomicU64::new(0),
            accepted: AtomicUsize::new(0),
            generation: AtomicUsize::new(0),
        });
        let accepting = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // Where nobody listens behind it, the client sees a close, as through a load balancer.
                let Ok(server) = TcpStream::connect(("127.0.0.1", accepting.upstream.load(SeqCst))) else {
                    continue;
                };
                accepting.accepted.fetch_add(1, SeqCst);
                carry(&client, &server, &accepting);
            }
        });
        Self { port, state }
    }

    pub fn uri(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Connections made through it so far.
    pub fn connections(&self) -> usize {
        self.state.accepted.load(SeqCst)
    }

    /// New connections go to another port. Those that are open stay, as they do behind a name that moves.
    pub fn switch_to(&self, upstream: u16) {
        self.state.upstream.store(upstream, SeqCst);
    }

    /// Closes all open connections.
    pub fn cut(&self) {
        self.state.generation.fetch_add(1, SeqCst);
    }

    /// Closes connections that carry nothing for so long, as HAProxy's `timeout client` does.
    pub fn close_idle(&self, after: Duration) {
        self.state.idle_timeout.store(u64::try_from(after.as_millis()).unwrap(), SeqCst);
    }

    /// Looks at all bytes from now on, in pieces as they come, and may change them.
    pub fn rule(&self, rule: impl FnMut(Direction, &mut Vec<u8>) -> Act + Send + 'static) {
        *self.state.rule.lock().unwrap() = Box::new(rule);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

fn carry(client: &TcpStream, server: &TcpStream, state: &Arc<State>) {
    let generation = state.generation.load(SeqCst);
    let last = Arc::new(Mutex::new(now()));
    for (from, to, direction) in
        [(client, server, Direction::ToServer), (server, client, Direction::ToClient)]
    {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let (state, last) = (Arc::clone(state), Arc::clone(&last));
        thread::spawn(move || {
            pump(from, to, direction, &state, generation, &last);
        });
    }
}

fn pump(
    mut from: TcpStream,
    mut to: TcpStream,
    direction: Direction,
    state: &State,
    generation: usize,
    last: &Mutex<Instant>,
) {
    from.set_read_timeout(Some(TURN)).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let idle_timeout = state.idle_timeout.load(SeqCst);
        let is_idle =
            idle_timeout > 0 && last.lock().unwrap().elapsed() >= Duration::from_millis(idle_timeout);
        if is_idle || state.generation.load(SeqCst) != generation {
            break;
        }
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        *last.lock().unwrap() = now();
        let mut bytes = buffer[..read].to_vec();
        let act = (state.rule.lock().unwrap())(direction, &mut bytes);
        let passes = matches!(act, Act::Pass | Act::PassAndClose);
        if (passes && to.write_all(&bytes).is_err()) || matches!(act, Act::PassAndClose | Act::Close) {
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}

#[expect(clippy::disallowed_methods, reason = "a proxy knows no other clock")]
fn now() -> Instant {
    Instant::now()
}
