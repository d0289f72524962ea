//! The page: a handful of files in the binary, served as they are. They ask the API and hold no data, so nobody has to say who
//! they are to get them; the answers behind them are guarded.
//!
//! Nothing of it comes from elsewhere and nothing in it is written into markup: the policy below lets a browser run these files,
//! ask this server, and no more.

use std::sync::OnceLock;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

/// What a browser may do for the page.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the page.
#[derive(Debug)]
struct File {
    path: &'static str,
    media_type: &'static str,
    text: &'static str,
    tag: OnceLock<HeaderValue>,
}

const fn file(path: &'static str, media_type: &'static str, text: &'static str) -> File {
    File { path, media_type, text, tag: OnceLock::new() }
}

/// A script of `reader/page/`.
macro_rules! script {
    ($name:literal) => {
        file(concat!("/page/", $name), SCRIPT, include_str!(concat!("../page/", $name)))
    };
}

static FILES: [File; 18] = [
    file("/", "text/html; charset=utf-8", include_str!("../page/index.html")),
    file("/page/style.css", "text/css; charset=utf-8", include_str!("../page/style.css")),
    file("/page/icon.svg", "image/svg+xml", include_str!("../page/icon.svg")),
    script!("main.js"),
    script!("api.js"),
    script!("changes.js"),
    script!("compare.js"),
    script!("dom.js"),
    script!("drawer.js"),
    script!("entity.js"),
    script!("home.js"),
    script!("json.js"),
    script!("problem.js"),
    script!("spark.js"),
    script!("statistics.js"),
    script!("storage.js"),
    script!("value.js"),
    script!("words.js"),
];

/// The routes of all its files.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, file| {
        router.route(file.path, get(move |headers: HeaderMap| async move { file.respond(&headers) }))
    })
}

impl File {
    fn tag(&self) -> &HeaderValue {
        self.tag.get_or_init(|| {
            let hex: String = Sha256::digest(self.text).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            HeaderValue::from_str(&format!("\"{hex}\"")).expect("hex in quotes is a header")
        })
    }

    /// The file; 304 where the browser has it already.
    fn respond(&self, asked: &HeaderMap) -> Response {
        let same = |tag: &str| tag == "*" || tag.trim_start_matches("W/").as_bytes() == self.tag().as_bytes();
        let given = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut response = match given.split(',').any(|one| same(one.trim())) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => self.text.into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        headers.insert(header::ETAG, self.tag().clone());
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> Vec<String> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let entries = std::fs::read_dir(folder).expect("the page's folder").map(|e| e.expect("it lists"));
        let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let name = |file: &File| file.path.strip_prefix("/page/").unwrap_or("index.html").to_string();
        let mut served: Vec<String> = FILES.iter().map(name).collect();
        served.sort();
        assert_eq!(served, folder());
    }

    #[test]
    fn a_browser_that_has_a_file_is_not_sent_it_again() {
        let file = &FILES[0];
        let fresh = file.respond(&HeaderMap::new());
        assert_eq!(
            (fresh.status(), &fresh.headers()[header::CONTENT_SECURITY_POLICY]),
            (StatusCode::OK, &HeaderValue::from_static(POLICY))
        );
        let asked = HeaderMap::from_iter([(header::IF_NONE_MATCH, fresh.headers()[header::ETAG].clone())]);
        assert_eq!(file.respond(&asked).status(), StatusCode::NOT_MODIFIED);
    }

    /// The policy would stop them, and the page would not work: better told here.
    #[test]
    fn nothing_is_written_into_markup_and_nothing_comes_from_elsewhere() {
        for file in &FILES {
            for wrong in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "style=\"",
                " onclick=",
            ] {
                assert!(!file.text.contains(wrong), "{wrong} in {}", file.path);
            }
            let namespace = "http://www.w3.org/2000/svg";
            let text = file.text.replace(namespace, "");
            assert!(
                !text.contains("http://") && !text.contains("https://") && !text.contains("//cdn"),
                "{}",
                file.path
            );
        }
        assert!(!FILES[0].text.contains("<script>") && !FILES[0].text.contains("<style"));
    }

    #[test]
    fn every_script_begins_with_what_it_is_for_and_is_no_longer_than_a_sitting() {
        for file in FILES.iter().filter(|file| file.media_type == SCRIPT) {
            assert!(file.text.starts_with("// "), "{}", file.path);
            assert!(file.text.lines().count() <= 500, "{}", file.path);
        }
    }
}
