//! Pictures of pages for people to look at: `cargo run -p browser --bin screenshots -- OUT PAGE.html...` takes each page as a
//! whole at 1280 and 390 pixels, light and dark, and as it prints.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use browser::{Look, NARROW, Page, WIDE};

fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let Some((out, pages @ [_, ..])) = args.split_first() else {
        bail!("give a folder for the pictures and some pages: screenshots OUT PAGE.html...");
    };
    std::fs::create_dir_all(out)?;
    for page in pages {
        pictures(out, page).with_context(|| page.display().to_string())?;
    }
    println!("{}: {} pages", out.display(), pages.len());
    Ok(())
}

/// All pictures of one page, named after it and its folder.
fn pictures(out: &Path, page: &Path) -> Result<()> {
    let whole = page.canonicalize()?;
    let part = |name: Option<&std::ffi::OsStr>| name.map_or_else(String::new, |name| name.display().to_string());
    let name = format!("{}-{}", part(whole.parent().and_then(Path::file_name)), part(whole.file_stem()));
    for look in [WIDE, Look { width: 390, ..NARROW }] {
        for (scheme, dark) in [("light", false), ("dark", true)] {
            let png = Page::open(&whole, Look { dark, ..look })?.whole(look.width)?;
            std::fs::write(out.join(format!("{name}-{}-{scheme}.png", look.width)), png)?;
        }
    }
    std::fs::write(out.join(format!("{name}.pdf")), Page::open(&whole, WIDE)?.printed()?)?;
    Ok(())
}
