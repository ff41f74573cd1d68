//! The table of routes: method, path and handler. 404, 405, `Allow`, the API's description and the test of README's list come
//! from it.

use std::{net::IpAddr, sync::Arc};

use hyper::{
    Method, Request, StatusCode, Version,
    body::{Body, Incoming},
    header::{ACCEPT, ALLOW, HOST},
};
use tokio::task::spawn_blocking;

use super::{
    answer::{Answer, problem, text, with},
    asked::Asked,
    negotiate::header,
    server_state::ServerState,
    web,
};
use crate::{
    config::Config,
    model::{Name, percent_decoded},
    stuck::Script,
};

/// The beginning of the API's paths.
pub(super) const API: &str = "/api/";
/// The placeholder of a stream in a route's path: its name's bytes, percent-encoded.
pub(super) const KEY: &str = "{key}";
/// The same of a group, after its stream.
pub(super) const GROUP: &str = "{group}";
/// Only what is posted has a body. Any other body that is larger than this is refused before it is read.
const MAX_BODY_BYTES: u64 = 4 * 1024;

/// A route.
pub struct Route {
    /// The methods that it allows.
    pub methods: Methods,
    /// The path; `{key}` stands for a stream, `{group}` for a group.
    pub path: &'static str,
    handler: Handler,
    /// Whether it exists with this configuration.
    is_there: fn(&Config) -> bool,
}

/// The methods of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Methods {
    /// `GET`, and `HEAD` beside it.
    Get,
    /// `POST`.
    Post,
}

impl Methods {
    /// The value of the `Allow` header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
        }
    }

    fn allow(self, method: &Method) -> bool {
        match self {
            Self::Get => *method == Method::GET || *method == Method::HEAD,
            Self::Post => *method == Method::POST,
        }
    }
}

/// How a route is answered.
#[derive(Clone, Copy)]
enum Handler {
    /// At once, on the serving thread.
    Quick(fn(&ServerState, &Asked) -> Answer),
    /// On a thread of its own where the first function returns true, because it may take a large part of a second: the serving
    /// thread goes on meanwhile.
    Slow(fn(&ServerState, &Asked) -> bool, fn(&ServerState, &Asked) -> Answer),
    /// With a trim.
    Trim,
    /// With what Redis says now.
    Pending,
    /// With an act on stuck work.
    Act(Script),
}

const fn get(path: &'static str, handler: Handler) -> Route {
    Route { methods: Methods::Get, path, handler, is_there: |_| true }
}

const fn act(path: &'static str, script: Script) -> Route {
    let is_there: fn(&Config) -> bool = |config| config.http.write_token_file.is_some();
    Route { methods: Methods::Post, path, handler: Handler::Act(script), is_there }
}

/// All routes, except those of the page's files.
pub const ROUTES: &[Route] = &[
    get("/metrics", Handler::Slow(ServerState::must_make_page, ServerState::metrics)),
    get("/livez", Handler::Quick(ServerState::live)),
    get("/readyz", Handler::Quick(ServerState::ready)),
    get("/api/v1/streams", Handler::Slow(always, ServerState::streams)),
    get("/api/v1/streams/{key}", Handler::Slow(always, ServerState::stream)),
    get("/api/v1/groups", Handler::Slow(always, ServerState::groups)),
    get("/api/v1/groups/{key}/{group}/lag", Handler::Slow(always, ServerState::group_lag)),
    get("/api/v1/groups/{key}/{group}/lag_seconds", Handler::Slow(always, ServerState::group_lag_seconds)),
    get("/api/v1/groups/{key}/{group}/pending", Handler::Pending),
    get("/api/v1/config", Handler::Slow(always, ServerState::config)),
    get("/api/v1/openapi.json", Handler::Slow(always, ServerState::openapi)),
    Route {
        methods: Methods::Post,
        path: "/api/v1/streams/{key}/trim",
        handler: Handler::Trim,
        is_there: |config| config.http.trim_token_file.is_some(),
    },
    act("/api/v1/groups/{key}/{group}/dead-letter", Script::DeadLetter),
    act("/api/v1/groups/{key}/{group}/claim", Script::Claim),
    act("/api/v1/groups/{key}/{group}/reap-consumers", Script::Reap),
    act("/api/v1/streams/{key}/replay", Script::Replay),
];

const PAGE: Route = get("/", Handler::Quick(web::answer));

const fn always(_: &ServerState, _: &Asked) -> bool {
    true
}

/// The answer to a request.
pub(super) async fn answer(state: Arc<ServerState>, peer: IpAddr, request: Request<Incoming>) -> Answer {
    let (route, names) = match state.route(&request) {
        Ok(found) => found,
        Err(refusal) => return *refusal,
    };
    let (head, body) = request.into_parts();
    let mut names = names.into_iter();
    let mut name = || names.next().unwrap_or_else(|| Name::from(""));
    let asked = Asked { peer, uri: head.uri, headers: head.headers, stream: name(), group: name() };
    match route.handler {
        Handler::Trim => state.trim(asked, body).await,
        Handler::Pending => state.pending(&asked).await,
        Handler::Act(script) => state.act(script, asked, body).await,
        Handler::Slow(is_slow, answer) if is_slow(&state, &asked) => {
            let answer = spawn_blocking(move || answer(&state, &asked)).await;
            answer.unwrap_or_else(|_panicked| {
                text(StatusCode::INTERNAL_SERVER_ERROR, "internal error of the sidecar\n")
            })
        }
        Handler::Quick(answer) | Handler::Slow(_, answer) => answer(&state, &asked),
    }
}

impl ServerState {
    /// The route of a request, with the names in its path; or the answer that refuses the request.
    fn route(&self, request: &Request<impl Body>) -> Result<(&'static Route, Vec<Name>), Box<Answer>> {
        let path = request.uri().path();
        let is_of_api = path.starts_with(API);
        let wants_json = is_of_api || header(request.headers(), &ACCEPT).contains("json");
        let refuse = |status, reason: &str| match wants_json {
            true => Box::new(problem(status, reason)),
            false => Box::new(text(status, &format!("{reason}\n"))),
        };
        if request.version() == Version::HTTP_11 && !request.headers().contains_key(HOST) {
            return Err(refuse(StatusCode::BAD_REQUEST, "the Host header is missing"));
        }
        let config = self.config.borrow();
        let mut routes = ROUTES.iter().filter(|route| (route.is_there)(&config));
        let found = routes.find_map(|route| Some((route, names(route.path, path)?)));
        let page = || web::is_served(path).then(|| (&PAGE, Vec::new()));
        let Some((route, names)) = found.or_else(page) else {
            let reason = match is_of_api {
                true => "no such path; /api/v1/openapi.json describes all paths",
                false => "no such page; see / for all pages",
            };
            return Err(refuse(StatusCode::NOT_FOUND, reason));
        };
        let Some(names) = names.into_iter().map(decoded).collect() else {
            let reason = "the path has a % that is not followed by two hexadecimal digits; write %25 for a % in a name";
            return Err(refuse(StatusCode::BAD_REQUEST, reason));
        };
        if !route.methods.allow(request.method()) {
            let reason = match route.methods {
                Methods::Get => "only GET and HEAD are allowed",
                Methods::Post => "only POST is allowed",
            };
            let answer = refuse(StatusCode::METHOD_NOT_ALLOWED, reason);
            return Err(Box::new(with(*answer, ALLOW, route.methods.as_str())));
        }
        if route.methods == Methods::Get && request.body().size_hint().lower() > MAX_BODY_BYTES {
            return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "this path accepts no body"));
        }
        Ok((route, names))
    }
}

fn decoded(name: &str) -> Option<Name> {
    percent_decoded(name).map(Name::from)
}

/// The names in a path, in their order and still encoded, where it matches a route's. A name may be empty.
fn names<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let (mut parts, mut given) = (pattern.split('/'), path.split('/'));
    let mut names = Vec::new();
    loop {
        match (parts.next(), given.next()) {
            (None, None) => return Some(names),
            (Some(KEY | GROUP), Some(name)) => {
                names.push(name);
            }
            (Some(part), Some(same)) if part == same => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_key_is_one_part_of_a_path_and_any_bytes() {
        let names = |pattern, path| {
            names(pattern, path).map(|names| names.into_iter().map(|name| decoded(name).unwrap()).collect())
        };
        let of = |path| names("/api/v1/streams/{key}", path);
        let one = |name: &[u8]| Some(vec![Name::from(name)]);
        assert_eq!(of("/api/v1/streams/events%3Asession"), one(b"events:session"));
        assert_eq!(of("/api/v1/streams/a%2Fb%FF"), one(b"a/b\xff"));
        for path in ["/api/v1/streams/s/", "/api/v1/streams/s/trim", "/api/v1/streams", "/api/v2/streams/s"] {
            assert_eq!(of(path), None, "{path}");
        }
        assert_eq!(of("/api/v1/streams/"), one(b""), "a key of Redis may be empty");
        assert_eq!(names("/api/v1/streams/{key}/trim", "/api/v1/streams/s/trim"), one(b"s"));
        let both = names("/api/v1/groups/{key}/{group}/lag", "/api/v1/groups/a%2Fb/g%20h/lag");
        assert_eq!(both, Some(vec![Name::from("a/b"), Name::from("g h")]));
        assert_eq!(names("/livez", "/livez"), Some(Vec::new()));
        assert_eq!(names("/livez", "/livez/"), None);
    }

    #[test]
    fn the_description_and_the_page_of_the_api_have_each_route() {
        let openapi: serde_json::Value =
            serde_json::from_str(include_str!("../views/api/openapi.json")).unwrap();
        let described = openapi["paths"].as_object().unwrap().iter();
        let described: BTreeSet<_> = described
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(move |method| (path.as_str(), method.as_str()))
            })
            .collect();
        let method = |route: &Route| if route.methods == Methods::Get { "get" } else { "post" };
        let of_api = ROUTES.iter().filter(|route| route.path.starts_with(API));
        let served: BTreeSet<_> = of_api.map(|route| (route.path, method(route))).collect();
        assert_eq!(described, served);
        let page = include_str!("../../docs/src/api.md");
        for Route { path, .. } in ROUTES {
            assert!(page.contains(&format!("\n| `{path}` |")), "docs/src/api.md has no row for {path}");
        }
    }
}
