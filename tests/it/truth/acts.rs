//! What the ops of a story do.

use super::{
    expected::INTERVAL_MS,
    oracle::Oracle,
    story::{Op, Place, Rare},
};

/// Does what an op says.
pub(super) fn act(op: &Op, oracle: &mut Oracle<'_>) {
    let group = |group: &u8| format!("g{group}");
    let consumer = |consumer: &u8| format!("c{consumer}");
    match op {
        Op::Poll | Op::Reread => {}
        Op::Add(count) => (0..*count).for_each(|_| oracle.run("XADD s * f v")),
        Op::AddOwn(ahead) => {
            let id = oracle.own_id(*ahead);
            oracle.run(&format!("XADD s {id} f v"));
        }
        Op::AddMaxLen(keep) => oracle.run_removing(&format!("XADD s MAXLEN {keep} * f v")),
        Op::Read { group: g, consumer: c, count, no_ack } => {
            let no_ack = if *no_ack { " NOACK" } else { "" };
            let (g, c) = (group(g), consumer(c));
            oracle.run(&format!("XREADGROUP GROUP {g} {c} COUNT {count}{no_ack} STREAMS s >"));
        }
        Op::Ack { group: g, count, newest } => {
            let mut pending = oracle.pending(&group(g));
            if *newest {
                pending.reverse();
            }
            for id in pending.into_iter().take((*count).into()) {
                oracle.run(&format!("XACK s {} {id}", group(g)));
            }
        }
        Op::Delete(place) => {
            let id = oracle.id_at(*place);
            oracle.run_removing(&format!("XDEL s {id}"));
        }
        Op::TrimMaxLen { keep, approximately } => {
            oracle.run_removing(&format!("XTRIM s MAXLEN {} {keep}", sign(*approximately)));
        }
        Op::TrimMinId { place, approximately } => {
            let id = oracle.id_at(*place);
            oracle.run_removing(&format!("XTRIM s MINID {} {id}", sign(*approximately)));
        }
        Op::Create { group: g, place, entries_read } => position("CREATE", *g, *place, *entries_read, oracle),
        Op::SetId { group: g, place, entries_read } => position("SETID", *g, *place, *entries_read, oracle),
        Op::Destroy(g) => oracle.run(&format!("XGROUP DESTROY s {}", group(g))),
        Op::Claim { group: g, consumer: c, place } => {
            let id = oracle.id_at(*place);
            oracle.run(&format!("XCLAIM s {} {} 0 {id} FORCE", group(g), consumer(c)));
        }
        Op::AutoClaim { group: g, consumer: c } => {
            oracle.run(&format!("XAUTOCLAIM s {} {} 0 0 COUNT 3", group(g), consumer(c)));
        }
        Op::DeleteConsumer { group: g, consumer: c } => oracle.delete_consumer(&group(g), &consumer(c)),
        Op::Rare(rare) => act_rarely(rare, oracle),
    }
}

fn act_rarely(rare: &Rare, oracle: &mut Oracle<'_>) {
    match rare {
        Rare::Recreate(count, keep) => {
            oracle.remake("DEL s");
            fill("s", *count, *keep, oracle);
            position("CREATE", 1, Place::Entry(60), None, oracle);
        }
        Rare::Rename(count, keep) => {
            oracle.run("DEL other");
            fill("other", *count, *keep, oracle);
            oracle.remake("RENAME other s");
            position("CREATE", 1, Place::Entry(60), None, oracle);
        }
        Rare::Dump => {
            oracle.run("COPY s copy REPLACE");
            oracle.has_copy = true;
        }
        Rare::Restore { by_copy } if oracle.has_copy => oracle.restore(*by_copy),
        Rare::Remove => oracle.remake("DEL s"),
        Rare::TrimAcked { keep, adds } => {
            let (what, entry) = if *adds { ("XADD", " * f v") } else { ("XTRIM", "") };
            oracle.run_making_holes(&format!("{what} s MAXLEN = {keep} ACKED{entry}"));
        }
        Rare::DeleteEx(place, mode) => {
            let id = oracle.id_at(*place);
            oracle.run_removing(&format!("XDELEX s {} IDS 1 {id}", reference(*mode)));
        }
        Rare::AckDelete(g, mode) => {
            let g = format!("g{g}");
            if let Some(id) = oracle.pending(&g).first() {
                oracle.run_removing(&format!("XACKDEL s {g} {} IDS 1 {id}", reference(*mode)));
            }
        }
        Rare::AddOnce(producer_id) => {
            oracle.run(&format!("XADD s IDMP producer {producer_id} * f v"));
        }
        // Consumers are idle for longer than a poll's interval then.
        Rare::Rest => std::thread::sleep(std::time::Duration::from_millis(INTERVAL_MS + 5)),
        Rare::Restore { .. } => {}
    }
}

fn reference(mode: u8) -> &'static str {
    ["KEEPREF", "DELREF", "ACKED"].get(usize::from(mode)).copied().unwrap_or_default()
}

/// Fills a new stream, whose IDs are later than those of any before, and makes a group for all of it.
fn fill(key: &str, count: u8, keep: u8, oracle: &mut Oracle<'_>) {
    std::thread::sleep(std::time::Duration::from_millis(2));
    (0..count).for_each(|_| oracle.run(&format!("XADD {key} MAXLEN {keep} * f v")));
    oracle.run(&format!("XGROUP CREATE {key} g0 0 MKSTREAM"));
}

/// Makes a group, or moves it.
fn position(how: &str, group: u8, place: Place, entries_read: Option<u8>, oracle: &mut Oracle<'_>) {
    let id = oracle.id_at(place);
    let entries_read = entries_read.map_or(String::new(), |count| format!(" ENTRIESREAD {count}"));
    oracle.run(&format!("XGROUP {how} s g{group} {id}{entries_read}"));
}

fn sign(approximately: bool) -> &'static str {
    if approximately { "~" } else { "=" }
}
