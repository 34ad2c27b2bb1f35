//! The page on which one types as one of the phones. Its files are part of the binary, so it works offline.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};

/// Path, content type, file.
const FILES: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/app.js", "text/javascript; charset=utf-8", include_str!("page/app.js")),
    ("/net.js", "text/javascript; charset=utf-8", include_str!("page/net.js")),
    ("/levers.js", "text/javascript; charset=utf-8", include_str!("page/levers.js")),
    ("/bubble.js", "text/javascript; charset=utf-8", include_str!("page/bubble.js")),
    ("/style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

/// Serves each file.
pub(super) fn routes(to: &mut ServiceConfig) {
    for (path, content_type, file) in FILES {
        let serve = move || async move {
            HttpResponse::Ok()
                .content_type(*content_type)
                .insert_header(("Cache-Control", "no-cache"))
                .body(*file)
        };
        to.route(path, web::get().to(serve));
    }
}
