//! Quiet data to compare on.

use support::Redis;

/// Groups of each stream.
pub(crate) const GROUPS: [&str; 3] = ["behind", "done", "unsure"];
/// Consumers of each group.
pub(crate) const CONSUMERS: usize = 5;

/// Streams with three groups of five consumers each. Of each stream's groups one is behind, with entries pending,
/// one has read and acknowledged everything, and of one Redis does not know the lag, since an entry that it had not
/// read was deleted.
pub(crate) fn streams(redis: &Redis, names: &[String]) {
    let mut connection = redis.connect();
    for name in names {
        let mut pipeline = redis::pipe();
        for number in 1..=20 {
            pipeline.cmd("XADD").arg(name).arg("*").arg("number").arg(number).ignore();
        }
        for group in GROUPS {
            pipeline.cmd("XGROUP").arg("CREATE").arg(name).arg(group).arg(0).ignore();
            for consumer in 0..CONSUMERS {
                pipeline.cmd("XREADGROUP").arg("GROUP").arg(group).arg(format!("consumer-{consumer}"));
                let count = if group == "done" { 4 } else { 1 + consumer % 2 };
                pipeline.arg("COUNT").arg(count);
                if group == "done" {
                    pipeline.arg("NOACK");
                }
                pipeline.arg("STREAMS").arg(name).arg(">").ignore();
            }
        }
        pipeline.query::<()>(&mut connection).unwrap();
        let newest: Vec<(String, redis::Value)> = redis::cmd("XREVRANGE")
            .arg(name)
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(3)
            .query(&mut connection)
            .unwrap();
        redis::cmd("XDEL").arg(name).arg(&newest[2].0).query::<()>(&mut connection).unwrap();
    }
}

/// `count` names.
pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("stream-{number:03}")).collect()
}

/// Names that only a careful page survives.
pub(crate) fn hostile_names() -> Vec<String> {
    [
        "plain",
        "with \"quotes\"",
        "back\\slash\\n",
        "new\nline",
        "tab\tbell\u{7}",
        "grün 流",
        "{a=\"b\"} 1",
        "# EOF",
        " ",
    ]
    .map(str::to_owned)
    .to_vec()
}
