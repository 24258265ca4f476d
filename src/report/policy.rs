//! The content security policy of our pages: only our own script and style, each named by its hash. Markup that got into a
//! page in spite of everything could do nothing.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::markup::{Markup, html};

/// The Content-Security-Policy of a page with this style and this script, each being all that is in its element.
pub(super) fn of(style: &Markup, script: Option<&Markup>) -> Markup {
    let script = script.map_or_else(Markup::default, |script| html!("script-src 'sha256-{}'; ", hash(script)));
    html!(
        "default-src 'none'; style-src 'sha256-{}'; {}img-src data:; base-uri 'none'; form-action 'none'",
        hash(style),
        script
    )
}

fn hash(text: &Markup) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text.as_str()))
}
