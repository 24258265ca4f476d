//! A page opened in a real Chromium, watched: every request it makes and every word it says to the console is kept.
//!
//! The browser is the one that `CHROME` names, or the first of the usual names on PATH. It gets a fresh profile and is
//! told to stay off the network; what the *page* asks for is what [`Page::requests`] tells.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use headless_chrome::protocol::cdp::types::Event;
use headless_chrome::protocol::cdp::{Emulation, Input, Network, Page as CdpPage};
use headless_chrome::types::PrintToPdfOptions;
use headless_chrome::{Browser, LaunchOptions, Tab};
use serde_json::Value;

/// Where a Chromium is, if there is one.
pub fn find() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("CHROME").filter(|path| !path.is_empty()) {
        return Some(PathBuf::from(path));
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    names
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |dir| dir.join(name)))
        .find(|path| path.is_file())
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Whether the reader prefers dark.
    pub dark: bool,
    /// Whether scripts run.
    pub script: bool,
}

/// A wide screen in daylight.
pub const WIDE: Look = Look { width: 1280, height: 900, dark: false, script: true };
/// A telephone.
pub const NARROW: Look = Look { width: 400, height: 800, dark: false, script: true };

#[derive(Default)]
struct Heard {
    requests: Vec<String>,
    console: Vec<String>,
}

/// A page in a browser of its own, which ends with it.
pub struct Page {
    tab: Arc<Tab>,
    heard: Arc<Mutex<Heard>>,
    script: bool,
    // Last, so that the tab goes before the browser and the profile after it.
    _browser: Browser,
    _profile: tempfile::TempDir,
}

impl Page {
    /// Opens a file.
    ///
    /// # Errors
    /// There is no browser, it does not start, or the file does not load.
    pub fn open(file: &Path, look: Look) -> Result<Self> {
        let profile = tempfile::tempdir()?;
        let args = [
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-quic",
            "--no-first-run",
            "--disable-gpu",
            "--hide-scrollbars",
        ];
        let options = LaunchOptions::default_builder()
            .path(Some(find().context("no Chromium on PATH; CHROME may name one")?))
            .user_data_dir(Some(profile.path().to_owned()))
            // Its sandbox needs what containers and root lack; all it opens is a file of ours.
            .sandbox(false)
            .args(args.iter().map(OsStr::new).collect())
            .idle_browser_timeout(Duration::from_secs(120))
            .build()?;
        let browser = Browser::new(options)?;
        let tab = browser.new_tab()?;
        tab.set_default_timeout(Duration::from_secs(60));
        let heard = Arc::new(Mutex::new(Heard::default()));
        let ear = Arc::clone(&heard);
        tab.add_event_listener(Arc::new(move |event: &Event| {
            let mut heard = ear.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Event::NetworkRequestWillBeSent(event) => heard.requests.push(event.params.request.url.clone()),
                Event::LogEntryAdded(event) => heard.console.push(event.params.entry.text.clone()),
                Event::RuntimeConsoleAPICalled(event) => heard.console.push(format!("{:?}", event.params.args)),
                Event::RuntimeExceptionThrown(event) => {
                    heard.console.push(format!("{:?}", event.params.exception_details));
                }
                _ => {}
            }
        }))?;
        tab.enable_log()?;
        tab.enable_runtime()?;
        tab.call_method(Network::Enable {
            max_total_buffer_size: None,
            max_resource_buffer_size: None,
            max_post_data_size: None,
            report_direct_socket_traffic: None,
            enable_durable_messages: None,
        })?;
        let page = Self { tab, heard, script: look.script, _browser: browser, _profile: profile };
        page.resize(look.width, look.height)?;
        page.prefer_dark(look.dark)?;
        page.tab.call_method(Emulation::SetScriptExecutionDisabled { value: !look.script })?;
        let url = format!("file://{}", file.canonicalize()?.display());
        page.tab.navigate_to(&url)?.wait_until_navigated()?;
        Ok(page)
    }

    /// Every address the page asked for, its own among them.
    pub fn requests(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }

    /// Everything said to the console: by the page, and by the browser about it.
    pub fn console(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).console.clone()
    }

    /// What an expression gives, which must be JSON; a promise is waited for.
    ///
    /// # Errors
    /// It throws.
    pub fn eval(&self, expression: &str) -> Result<Value> {
        // Where scripts are off, ours still runs, but no promise is ever kept.
        let wrapped = if self.script {
            format!("(async () => JSON.stringify(await ({expression})) ?? 'null')()")
        } else {
            format!("JSON.stringify({expression}) ?? 'null'")
        };
        let object = self.tab.evaluate(&wrapped, self.script).with_context(|| format!("in: {expression}"))?;
        let text =
            object.value.as_ref().and_then(Value::as_str).ok_or_else(|| anyhow!("no value from {expression}"))?;
        Ok(serde_json::from_str(text)?)
    }

    /// Runs a script that gives nothing back.
    ///
    /// # Errors
    /// It throws.
    pub fn run(&self, script: &str) -> Result<()> {
        self.tab.evaluate(script, false).map(drop)
    }

    /// Presses a key: `Tab`, `Enter`, `ArrowRight`, ` `.
    ///
    /// # Errors
    /// There is no such key.
    pub fn press(&self, key: &str) -> Result<()> {
        self.tab.press_key(key).map(drop)
    }

    /// Moves the mouse to where a selector's first visible match has its middle, scrolling there first.
    ///
    /// # Errors
    /// Nothing visible matches.
    pub fn hover(&self, selector: &str) -> Result<(f64, f64)> {
        // The scroll's own event comes with the next frame, and would close what the mouse opens. (One call and not two:
        // the driver looks for answers ten times a second.)
        let frames = "await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));";
        let place = self.eval(&format!(
            "({} () => {{ const n = [...document.querySelectorAll({})].find((n) => n.getClientRects().length); if (!n) return null; \
             n.scrollIntoView({{ block: 'center', behavior: 'instant' }}); {} const b = n.getBoundingClientRect(); \
             return [b.left + b.width / 2, b.top + b.height / 2]; }})()",
            if self.script { "async" } else { "" },
            Value::from(selector),
            if self.script { frames } else { "" },
        ))?;
        let at =
            |i: usize| place.get(i).and_then(Value::as_f64).with_context(|| format!("nothing visible is {selector}"));
        let (x, y) = (at(0)?, at(1)?);
        self.mouse(Input::DispatchMouseEventTypeOption::MouseMoved, x, y)?;
        Ok((x, y))
    }

    /// Clicks where [`Page::hover`] goes.
    ///
    /// # Errors
    /// Nothing visible matches.
    pub fn click(&self, selector: &str) -> Result<()> {
        let (x, y) = self.hover(selector)?;
        self.mouse(Input::DispatchMouseEventTypeOption::MousePressed, x, y)?;
        self.mouse(Input::DispatchMouseEventTypeOption::MouseReleased, x, y)
    }

    fn mouse(&self, kind: Input::DispatchMouseEventTypeOption, x: f64, y: f64) -> Result<()> {
        let is_move = kind == Input::DispatchMouseEventTypeOption::MouseMoved;
        self.tab.call_method(Input::DispatchMouseEvent {
            Type: kind,
            x,
            y,
            modifiers: None,
            timestamp: None,
            button: (!is_move).then_some(Input::MouseButton::Left),
            buttons: None,
            click_count: (!is_move).then_some(1),
            force: None,
            tangential_pressure: None,
            tilt_x: None,
            tilt_y: None,
            twist: None,
            delta_x: None,
            delta_y: None,
            pointer_Type: None,
        })?;
        Ok(())
    }

    /// Gives the page another size.
    ///
    /// # Errors
    /// The browser is gone.
    pub fn resize(&self, width: u32, height: u32) -> Result<()> {
        self.tab.call_method(Emulation::SetDeviceMetricsOverride {
            width,
            height,
            device_scale_factor: 1.0,
            mobile: false,
            scale: None,
            screen_width: None,
            screen_height: None,
            position_x: None,
            position_y: None,
            dont_set_visible_size: None,
            screen_orientation: None,
            viewport: None,
            display_feature: None,
            device_posture: None,
        })?;
        Ok(())
    }

    /// Says whether the reader prefers dark.
    ///
    /// # Errors
    /// The browser is gone.
    pub fn prefer_dark(&self, dark: bool) -> Result<()> {
        let value = if dark { "dark" } else { "light" }.to_owned();
        let features = vec![Emulation::MediaFeature { name: "prefers-color-scheme".to_owned(), value }];
        self.tab.call_method(Emulation::SetEmulatedMedia { media: None, features: Some(features) })?;
        Ok(())
    }

    /// The whole page as PNG, however long.
    ///
    /// # Errors
    /// The browser is gone.
    pub fn whole(&self, width: u32) -> Result<Vec<u8>> {
        let metrics = self.tab.call_method(CdpPage::GetLayoutMetrics(None))?;
        let height = metrics.css_content_size.height.ceil();
        self.part(width, height as u32)
    }

    /// The page's top left part as PNG.
    ///
    /// # Errors
    /// The browser is gone.
    pub fn part(&self, width: u32, height: u32) -> Result<Vec<u8>> {
        // What lies outside the window is not always painted, so the window becomes as tall as the picture.
        self.resize(width, height)?;
        if self.script {
            self.eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")?;
        }
        self.tab.capture_screenshot(CdpPage::CaptureScreenshotFormatOption::Png, None, None, true)
    }

    /// The page as PDF, on the paper that its style sheet asks for.
    ///
    /// # Errors
    /// The browser is gone.
    pub fn printed(&self) -> Result<Vec<u8>> {
        let options = PrintToPdfOptions {
            print_background: Some(true),
            prefer_css_page_size: Some(true),
            ..PrintToPdfOptions::default()
        };
        self.tab.print_to_pdf(Some(options))
    }
}
