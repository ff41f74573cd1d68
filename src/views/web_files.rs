//! The page at `/`, embedded: plain files without a build step. They hold nothing that came from Redis; in the browser
//! they read the JSON API, like any other client.

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

/// The page may load its own files and call this server's API. Nothing inline, nothing from other servers, no forms, no frames.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of `web/`, served under `/page/`.
macro_rules! page_file {
    ($name:literal, $content_type:ident) => {
        WebFile {
            path: concat!("/page/", $name),
            content_type: $content_type,
            body: include_str!(concat!("../../web/", $name)),
        }
    };
}

/// All of them.
const FILES: &[WebFile] = &[
    WebFile { path: "/", content_type: HTML, body: include_str!("../../web/index.html") },
    page_file!("page.css", CSS),
    page_file!("icon.svg", SVG),
    page_file!("page.js", JAVASCRIPT),
    page_file!("cause.js", JAVASCRIPT),
    page_file!("address.js", JAVASCRIPT),
    page_file!("feed.js", JAVASCRIPT),
    page_file!("dom.js", JAVASCRIPT),
    page_file!("language.js", JAVASCRIPT),
    page_file!("words.en.js", JAVASCRIPT),
    page_file!("words.zh.js", JAVASCRIPT),
    page_file!("pending.js", JAVASCRIPT),
    page_file!("values.js", JAVASCRIPT),
    page_file!("banner.js", JAVASCRIPT),
    page_file!("cluster.js", JAVASCRIPT),
    page_file!("list.js", JAVASCRIPT),
    page_file!("detail.js", JAVASCRIPT),
    page_file!("keys.js", JAVASCRIPT),
    page_file!("latency.js", JAVASCRIPT),
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
