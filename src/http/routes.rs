//! The table of routes: method, path and handler. 404, 405, `Allow`, the API's description and the test of README's list come
//! from it.

use std::sync::Arc;

use hyper::{
    Method, Request, StatusCode, Version,
    body::{Body, Incoming},
    header::{ALLOW, HOST},
};
use percent_encoding::percent_decode_str;
use tokio::task::spawn_blocking;

use super::{
    answer::{Answer, problem, text, with},
    asked::Asked,
    server_state::ServerState,
    web,
};
use crate::{config::Config, model::Name};

/// The beginning of the API's paths.
pub(super) const API: &str = "/api/";
/// The placeholder of a stream in a route's path: its name's bytes, percent-encoded.
pub(super) const KEY: &str = "{key}";
/// Only a trim has a body. Any other body that is larger than this is refused before it is read.
const MAX_BODY_BYTES: u64 = 4 * 1024;

/// A route.
pub struct Route {
    /// The methods that it allows.
    pub methods: Methods,
    /// The path; `{key}` stands for a stream.
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
}

const fn get(path: &'static str, handler: Handler) -> Route {
    Route { methods: Methods::Get, path, handler, is_there: |_| true }
}

/// All routes, except those of the page's files.
pub const ROUTES: &[Route] = &[
    get("/metrics", Handler::Slow(ServerState::must_make_page, ServerState::metrics)),
    get("/livez", Handler::Quick(ServerState::live)),
    get("/readyz", Handler::Quick(ServerState::ready)),
    get("/api/v1/streams", Handler::Slow(always, ServerState::streams)),
    get("/api/v1/streams/{key}", Handler::Slow(always, ServerState::stream)),
    get("/api/v1/groups", Handler::Slow(always, ServerState::groups)),
    get("/api/v1/config", Handler::Slow(always, ServerState::config)),
    get("/api/v1/openapi.json", Handler::Slow(always, ServerState::openapi)),
    Route {
        methods: Methods::Post,
        path: "/api/v1/streams/{key}/trim",
        handler: Handler::Trim,
        is_there: |config| config.http.trim_token_file.is_some(),
    },
];

const PAGE: Route = get("/", Handler::Quick(web::answer));

const fn always(_: &ServerState, _: &Asked) -> bool {
    true
}

/// The answer to a request.
pub(super) async fn answer(state: Arc<ServerState>, request: Request<Incoming>) -> Answer {
    let (route, stream) = match state.route(&request) {
        Ok(found) => found,
        Err(refusal) => return *refusal,
    };
    let (head, body) = request.into_parts();
    let asked =
        Asked { uri: head.uri, headers: head.headers, stream: stream.unwrap_or_else(|| Name::from("")) };
    match route.handler {
        Handler::Trim => state.trim(asked, body).await,
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
    /// The route of a request, with the stream in its path; or the answer that refuses the request.
    fn route(&self, request: &Request<impl Body>) -> Result<(&'static Route, Option<Name>), Box<Answer>> {
        let path = request.uri().path();
        let is_of_api = path.starts_with(API);
        let refuse = |status, reason: &str| match is_of_api {
            true => Box::new(problem(status, reason)),
            false => Box::new(text(status, &format!("{reason}\n"))),
        };
        if request.version() == Version::HTTP_11 && !request.headers().contains_key(HOST) {
            return Err(refuse(StatusCode::BAD_REQUEST, "the Host header is missing"));
        }
        let config = self.config.borrow();
        let mut routes = ROUTES.iter().filter(|route| (route.is_there)(&config));
        let found = routes.find_map(|route| Some((route, stream(route.path, path)?)));
        let Some((route, stream)) = found.or_else(|| web::is_served(path).then_some((&PAGE, None))) else {
            let reason = match is_of_api {
                true => "no such path; /api/v1/openapi.json describes all paths",
                false => "no such page; see / for all pages",
            };
            return Err(refuse(StatusCode::NOT_FOUND, reason));
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
        Ok((route, stream))
    }
}

/// `Some` where a path matches a route's, with the stream where the route has one. A stream's name may be empty.
fn stream(pattern: &str, path: &str) -> Option<Option<Name>> {
    let Some((before, after)) = pattern.split_once(KEY) else {
        return (pattern == path).then_some(None);
    };
    let key = path.strip_prefix(before)?.strip_suffix(after)?;
    (!key.contains('/')).then(|| Some(Name::from(percent_decode_str(key).collect::<Vec<u8>>())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_key_is_one_part_of_a_path_and_any_bytes() {
        let of = |path| stream("/api/v1/streams/{key}", path).flatten();
        assert_eq!(of("/api/v1/streams/events%3Asession"), Some(Name::from("events:session")));
        assert_eq!(of("/api/v1/streams/a%2Fb%FF"), Some(Name::from(&b"a/b\xff"[..])));
        for path in ["/api/v1/streams/s/", "/api/v1/streams/s/trim", "/api/v1/streams"] {
            assert_eq!(of(path), None, "{path}");
        }
        assert_eq!(of("/api/v1/streams/"), Some(Name::from("")), "a key of Redis may be empty");
        assert_eq!(
            stream("/api/v1/streams/{key}/trim", "/api/v1/streams/s/trim"),
            Some(Some(Name::from("s")))
        );
        assert_eq!(stream("/livez", "/livez"), Some(None));
        assert_eq!(stream("/livez", "/livez/"), None);
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
