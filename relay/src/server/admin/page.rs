//! The dashboard: a page that asks the administration, as everybody does, with a token that a person types in.
//!
//! Its files hold no data and need no token. They come out of the program itself, and load nothing from elsewhere.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderName, HeaderValue, header};

/// What the page may do: its own scripts and styles, questions to its own relay, and nothing else; no other page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Where each file is found, what it is, and what is in it.
const FILES: [(&str, &str, &str); 8] = [
    ("/", HTML, include_str!("../../../dashboard/index.html")),
    ("/style.css", CSS, include_str!("../../../dashboard/style.css")),
    ("/dashboard.js", JAVASCRIPT, include_str!("../../../dashboard/dashboard.js")),
    ("/boards.js", JAVASCRIPT, include_str!("../../../dashboard/boards.js")),
    ("/people.js", JAVASCRIPT, include_str!("../../../dashboard/people.js")),
    ("/tables.js", JAVASCRIPT, include_str!("../../../dashboard/tables.js")),
    ("/words.js", JAVASCRIPT, include_str!("../../../dashboard/words.js")),
    ("/icon.svg", SVG, include_str!("../../../dashboard/icon.svg")),
];

/// The routes of the files.
pub(super) fn routes() -> Router {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, content)| {
        router.route(path, get(move || async move { file(kind, content) }))
    })
}

fn file(kind: &'static str, content: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ]
    .map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, content).into_response()
}
