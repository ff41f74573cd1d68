//! Asks each Sentinel of an address once, for `doctor`: which primary it names, whom it knows, and whether something listens at
//! the addresses that it announces.

use tokio::time::timeout;

use super::{
    connection::Connection,
    failure::no_reply,
    fields::{Fields, list, text, unexpected},
    resp::Reply,
    sentinel::{PATIENCE, announced, connect, named, one},
    transport,
};
use crate::{
    config::{self, Route, Service},
    model::{Failure, NodeAddress, Reason, ReplicaView, SentinelView, ServiceState},
};

/// Addresses of replicas that are tried for each Sentinel.
const MAX_REPLICAS: usize = 10;

/// What each Sentinel of the service reports, in the order of the address.
pub(crate) async fn survey_sentinels(service: &Service, redis: &config::Redis) -> Vec<SentinelView> {
    let redis = &config::Redis { connect_timeout: PATIENCE.min(redis.connect_timeout), ..redis.clone() };
    let mut views = Vec::new();
    for sentinel in &service.sentinels {
        let view = async {
            let mut connection = connect(sentinel, service, redis).await?;
            view(&mut connection, sentinel, service, redis).await
        };
        views.push(timeout(4 * PATIENCE, view).await.map_err(late).flatten().unwrap_or_else(|failure| {
            SentinelView {
                sentinel: sentinel.to_string().into(),
                primary: Err(failure.clone()),
                state: Err(failure.clone()),
                replicas: Err(failure),
            }
        }));
    }
    views
}

fn late<T>(_elapsed: T) -> Failure {
    Failure::new(Reason::Timeout, format!("no answer within {PATIENCE:?}"))
}

async fn view(
    connection: &mut Connection,
    sentinel: &NodeAddress,
    service: &Service,
    redis: &config::Redis,
) -> Result<SentinelView, Failure> {
    let mut ask =
        async |words: &[&str]| timeout(PATIENCE, one(connection, words)).await.map_err(late).flatten();
    let primary = ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &service.name]).await?;
    let primary = primary.and_then(|reply| named(&reply, service));
    let state = ask(&["SENTINEL", "MASTER", &service.name]).await?.and_then(|reply| state(&reply));
    let announced = ask(&["SENTINEL", "REPLICAS", &service.name]).await?.and_then(|reply| replicas(&reply));
    let mut tried = Vec::new();
    for host in announced.as_ref().into_iter().flatten().take(MAX_REPLICAS) {
        let route = Route::to(host.clone(), service.is_tls);
        let opened = timeout(PATIENCE, transport::open(&route, redis)).await.map_err(late).flatten();
        tried.push(ReplicaView { at: host.to_string().into(), reached: opened.map(drop) });
    }
    Ok(SentinelView {
        sentinel: sentinel.to_string().into(),
        primary: primary.map(|host| host.to_string().into()),
        state,
        replicas: announced.map(|_| tried),
    })
}

/// The reply to `SENTINEL MASTER`.
fn state(reply: &Reply) -> Result<ServiceState, Failure> {
    let mut fields = Fields::new(reply.value()?)?;
    Ok(ServiceState {
        others: fields.require_count("num-other-sentinels")?,
        quorum: fields.require_count("quorum")?,
        flags: fields.take("flags").as_ref().and_then(text).ok_or_else(|| unexpected("flags"))?.into(),
    })
}

/// The reply to `SENTINEL REPLICAS`: the addresses that are not known to be down.
fn replicas(reply: &Reply) -> Result<Vec<NodeAddress>, Failure> {
    let mut hosts = Vec::new();
    for replica in list(reply.value()?, "replicas")? {
        let mut fields = Fields::new(replica)?;
        let (host, port) = (fields.take("ip"), fields.take("port"));
        let host = host.as_ref().and_then(text).zip(port.as_ref().and_then(text));
        hosts.push(host.and_then(|(host, port)| announced(host, port)).ok_or_else(no_reply)?);
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn reply(words: &[&str]) -> String {
        let words: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        format!("*{}\r\n{words}", words.matches('$').count())
    }

    fn parsed(text: String) -> Reply {
        Reply::whole(&Bytes::from(text)).unwrap()
    }

    #[test]
    fn what_a_sentinel_knows_is_found_by_name() {
        let of_primary =
            reply(&["name", "m", "quorum", "2", "flags", "master", "num-other-sentinels", "1", "new", "x"]);
        let known = ServiceState { quorum: 2, others: 1, flags: "master".into() };
        assert_eq!(state(&parsed(of_primary)), Ok(known));
        assert!(state(&parsed(reply(&["quorum", "2"]))).is_err());
        let of_replica = reply(&["name", "n", "ip", "fd00::1", "port", "7"]);
        let hosts = replicas(&parsed(format!("*1\r\n{of_replica}"))).unwrap();
        assert_eq!(hosts.iter().map(ToString::to_string).collect::<Vec<_>>(), ["[fd00::1]:7"]);
        assert_eq!(replicas(&parsed("*0\r\n".to_owned())), Ok(Vec::new()));
        assert!(replicas(&parsed(format!("*1\r\n{}", reply(&["ip", "a b", "port", "7"])))).is_err());
    }
}
