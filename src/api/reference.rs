//! The page at `/docs`: the OpenAPI document for people. Its files are part of the binary, so it works offline, and it may
//! load nothing from elsewhere.
//!
//! The page itself needs no key: a browser sends none with an address that is typed in. It shows nothing but a field for one,
//! with which it then reads the document.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};

/// Path, content type, file.
const FILES: &[(&str, &str, &str)] = &[
    ("/docs", "text/html; charset=utf-8", include_str!("reference/index.html")),
    ("/docs/app.js", "text/javascript; charset=utf-8", include_str!("reference/app.js")),
    ("/docs/style.css", "text/css; charset=utf-8", include_str!("reference/style.css")),
];

/// Its own files and requests, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// Serves each file.
pub(super) fn mount(app: &mut ServiceConfig) {
    for (path, content_type, file) in FILES {
        let serve = move || async move {
            HttpResponse::Ok()
                .content_type(*content_type)
                .insert_header(("Cache-Control", "no-cache"))
                .insert_header(("Content-Security-Policy", POLICY))
                .insert_header(("Referrer-Policy", "no-referrer"))
                .insert_header(("X-Content-Type-Options", "nosniff"))
                .body(*file)
        };
        app.route(path, web::get().to(serve));
    }
}
