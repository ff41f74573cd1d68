//! The page at `/`, embedded: plain files without a build step. They hold nothing that came from Redis; in the browser
//! they read the JSON API, as anybody may.

/// A file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebFile {
    /// Where it is served.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// What is in it.
    pub body: &'static str,
}

/// What the page may do: read its own files and this server's API. Nothing inline, nothing from elsewhere, no form, and
/// in nobody's frame.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// All of them.
const FILES: &[WebFile] = &[
    WebFile { path: "/", content_type: HTML, body: include_str!("../../web/index.html") },
    WebFile { path: "/page/page.css", content_type: CSS, body: include_str!("../../web/page.css") },
    WebFile { path: "/page/icon.svg", content_type: SVG, body: include_str!("../../web/icon.svg") },
    WebFile { path: "/page/page.js", content_type: JAVASCRIPT, body: include_str!("../../web/page.js") },
    WebFile { path: "/page/feed.js", content_type: JAVASCRIPT, body: include_str!("../../web/feed.js") },
    WebFile { path: "/page/dom.js", content_type: JAVASCRIPT, body: include_str!("../../web/dom.js") },
    WebFile { path: "/page/values.js", content_type: JAVASCRIPT, body: include_str!("../../web/values.js") },
    WebFile { path: "/page/banner.js", content_type: JAVASCRIPT, body: include_str!("../../web/banner.js") },
    WebFile { path: "/page/list.js", content_type: JAVASCRIPT, body: include_str!("../../web/list.js") },
    WebFile { path: "/page/detail.js", content_type: JAVASCRIPT, body: include_str!("../../web/detail.js") },
    WebFile { path: "/page/keys.js", content_type: JAVASCRIPT, body: include_str!("../../web/keys.js") },
];

/// The file that is served at a path.
#[must_use]
pub fn asset(path: &str) -> Option<&'static WebFile> {
    FILES.iter().find(|asset| asset.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_for_nothing_that_is_not_served() {
        for asset in FILES {
            let quoted = asset.body.split(['"', '\'']);
            let paths = quoted.filter_map(|text| match text.strip_prefix("./") {
                Some(module) => Some(format!("/page/{module}")),
                None => text.starts_with("/page/").then(|| text.to_owned()),
            });
            for path in paths {
                assert!(super::asset(&path).is_some(), "{} names {path}", asset.path);
            }
        }
    }
}
