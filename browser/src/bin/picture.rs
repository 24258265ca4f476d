//! The README's picture: `cargo run -p browser --bin picture -- results/example docs/page.png` opens the page of a
//! result folder and takes its top as PNG.
#![allow(clippy::print_stdout)]

use std::path::Path;

use anyhow::{Context, Result, bail};
use browser::{Look, Page, WIDE};
use redis_lost_updates::record::{Run, write_whole};
use redis_lost_updates::report::render;
use redis_lost_updates::summary::Summary;

/// Wide enough for labels at the ends of lines, narrow enough for a README.
const WIDTH: u32 = 1_040;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, picture] = args.as_slice() else {
        bail!("give a result folder and where to put the picture: picture results/example docs/page.png");
    };
    let run = Run::read(Path::new(folder))?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("index.html");
    std::fs::write(&file, render(&Summary::of(&run), &run))?;
    let page = Page::open(&file, Look { width: WIDTH, ..WIDE })?;
    // The answer and the first chart.
    let bottom = page.eval("document.querySelector('figure').getBoundingClientRect().bottom + 20")?;
    let png = page.part(WIDTH, bottom.as_f64().context("the page has no chart")? as u32)?;
    if let Some(folder) = Path::new(picture).parent() {
        std::fs::create_dir_all(folder)?;
    }
    write_whole(Path::new(picture), &png)?;
    println!("{picture}: {} bytes", png.len());
    Ok(())
}
