//! A page as somebody in front of it has it: opened, read, clicked, typed into, looked at. Input goes the way of real
//! mouse and keyboard events; what is asked by script is asked by DevTools, which works while the page's own scripts
//! are off.

use std::fs;
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use super::devtools::DevTools;

/// How a page came.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) url: String,
    pub(crate) status: u64,
    /// Statuses of the redirects on the way, and where each led.
    pub(crate) redirects: Vec<(u64, String)>,
    /// "h2" or "http/1.1".
    pub(crate) protocol: String,
    /// Chromium's judgement of the connection: "secure", or something worse.
    pub(crate) security: String,
    /// Who signed the certificate.
    pub(crate) issuer: String,
}

/// The network of this machine changed, say by a container that started nearby. Chromium drops its connections then, so
/// what the page shows proves nothing.
#[derive(Debug)]
pub(crate) struct NetworkChanged;

/// A key, as DevTools wants it.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    name: &'static str,
    code: u32,
    text: &'static str,
}

pub(crate) const TAB: Key = Key {
    name: "Tab",
    code: 9,
    text: "",
};
pub(crate) const ENTER: Key = Key {
    name: "Enter",
    code: 13,
    text: "\r",
};

/// The field of a form.
pub(crate) fn field(name: &str) -> String {
    format!("document.querySelector('form [name={name}]')")
}

/// The link or button whose words begin and end like this, hidden words (for screen readers) included.
pub(crate) fn control(beginning: &str, end: &str) -> String {
    format!(
        "[...document.querySelectorAll('main a, main button')].find(element => {{
            const words = element.textContent.replace(/\\s+/g, ' ').trim();
            return words.startsWith({}) && words.endsWith({});
        }})",
        json!(beginning),
        json!(end)
    )
}

pub(crate) struct Page {
    devtools: DevTools,
}

impl Page {
    pub(crate) fn new(mut devtools: DevTools) -> Self {
        let target = devtools.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let session = devtools.call(
            "Target.attachToTarget",
            &json!({ "targetId": target["targetId"], "flatten": true }),
        );
        devtools.enter(session["sessionId"].as_str().expect("a session"));
        let mut page = Self { devtools };
        page.call("Page.enable", &json!({}));
        page.call("Network.enable", &json!({}));
        page.call(
            "Page.setLifecycleEventsEnabled",
            &json!({ "enabled": true }),
        );
        page.view(1280, 900, false);
        page
    }

    /// Any method of DevTools.
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.devtools.call(method, parameters)
    }

    /// From here on, pages have to do without scripts. Proved, because everything else would pass with them, too.
    pub(crate) fn forbid_scripts(&mut self) {
        self.call(
            "Emulation.setScriptExecutionDisabled",
            &json!({ "value": true }),
        );
        let answer = self.call(
            "Page.navigate",
            &json!({ "url": "data:text/html,<title>still</title><script>document.title = 'moved'</script>" }),
        );
        let loader = &answer["loaderId"];
        self.devtools
            .wait_for("a page with a script", |method, event| {
                method == "Page.lifecycleEvent"
                    && event["name"] == "load"
                    && event["loaderId"] == *loader
            });
        assert_eq!(self.evaluate("document.title"), "still");
    }

    /// The size of the window; a phone's has two device pixels to one.
    pub(crate) fn view(&mut self, width: u32, height: u32, phone: bool) {
        let scale = if phone { 2 } else { 1 };
        self.call(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone }),
        );
        self.call(
            "Emulation.setTouchEmulationEnabled",
            &json!({ "enabled": phone }),
        );
    }

    /// "light" or "dark".
    pub(crate) fn prefer(&mut self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call(
            "Emulation.setEmulatedMedia",
            &json!({ "features": [feature] }),
        );
    }

    pub(crate) fn open(&mut self, url: &str) -> Result<Arrival, NetworkChanged> {
        self.arrive(|page| page.ask_for(url))
    }

    /// Why this page does not come, in the browser's word.
    pub(crate) fn refusal(&mut self, url: &str) -> Result<String, NetworkChanged> {
        self.devtools.forget_events();
        self.ask_for(url);
        match self.document()? {
            Ok(_) => panic!("{url} came"),
            Err(refusal) => Ok(refusal),
        }
    }

    fn ask_for(&mut self, url: &str) {
        self.call("Page.navigate", &json!({ "url": url }));
    }

    /// Waits for the page that the action leads to, until it is loaded and painted.
    pub(crate) fn arrive(
        &mut self,
        action: impl FnOnce(&mut Self),
    ) -> Result<Arrival, NetworkChanged> {
        self.devtools.forget_events();
        action(self);
        let document = self.document()?.expect("a page");
        let loader = &document["loaderId"];
        // Input that comes before the first paint is dropped.
        for moment in ["load", "firstContentfulPaint"] {
            self.devtools.wait_for(moment, |method, event| {
                is_network_change(event)
                    || method == "Page.lifecycleEvent"
                        && event["name"] == moment
                        && event["loaderId"] == *loader
            });
        }
        // A style sheet, perhaps.
        if self
            .devtools
            .events()
            .any(|(_, event)| is_network_change(event))
        {
            return Err(NetworkChanged);
        }
        let redirects = self
            .devtools
            .events()
            .filter(|(method, event)| {
                *method == "Network.requestWillBeSent"
                    && event["loaderId"] == *loader
                    && !event["redirectResponse"].is_null()
            })
            .map(|(_, event)| {
                let status = event["redirectResponse"]["status"].as_u64();
                (status.unwrap_or_default(), text(&event["request"]["url"]))
            })
            .collect();
        let response = &document["response"];
        Ok(Arrival {
            url: text(&response["url"]),
            status: response["status"].as_u64().unwrap_or_default(),
            redirects,
            protocol: text(&response["protocol"]),
            security: text(&response["securityState"]),
            issuer: text(&response["securityDetails"]["issuer"]),
        })
    }

    /// The response that a page is made of, or why there is none.
    fn document(&mut self) -> Result<Result<Value, String>, NetworkChanged> {
        let (method, event) = self.devtools.wait_for("a document", |method, event| {
            event["type"] == "Document"
                && ["Network.responseReceived", "Network.loadingFailed"].contains(&method)
        });
        if is_network_change(&event) {
            return Err(NetworkChanged);
        }
        Ok(match method.as_str() {
            "Network.loadingFailed" => Err(text(&event["errorText"])),
            _ => Ok(event),
        })
    }

    /// The value of a JavaScript expression, as JSON.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let mut answer = self.call(
            "Runtime.evaluate",
            &json!({ "expression": expression, "returnByValue": true }),
        );
        let exception = &answer["exceptionDetails"];
        assert!(exception.is_null(), "{expression}: {exception}");
        answer["result"]["value"].take()
    }

    /// The mouse goes to the middle of the element and clicks. What lies over it would get the click: that fails.
    pub(crate) fn click(&mut self, element: &str) {
        let place = self.evaluate(&format!(
            "(() => {{
                const element = {element};
                if (!element) return null;
                element.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                const box = element.getBoundingClientRect();
                const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                return {{ x, y, free: element.contains(document.elementFromPoint(x, y)) }};
            }})()"
        ));
        assert!(
            place["free"] == true,
            "cannot be clicked: {element}: {place} in\n{}",
            self.text()
        );
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            self.call(
                "Input.dispatchMouseEvent",
                &json!({ "type": kind, "x": place["x"], "y": place["y"], "button": button, "clickCount": 1 }),
            );
        }
    }

    /// Types into whatever has the focus, in the place of what was there.
    pub(crate) fn type_over(&mut self, text: &str) {
        let select_all = json!({
            "type": "keyDown", "modifiers": 2, "key": "a", "code": "KeyA", "windowsVirtualKeyCode": 65,
            "commands": ["selectAll"],
        });
        self.call("Input.dispatchKeyEvent", &select_all);
        self.call(
            "Input.dispatchKeyEvent",
            &json!({ "type": "keyUp", "modifiers": 2, "key": "a", "code": "KeyA", "windowsVirtualKeyCode": 65 }),
        );
        self.call("Input.insertText", &json!({ "text": text }));
    }

    pub(crate) fn fill(&mut self, name: &str, text: &str) {
        self.click(&field(name));
        self.type_over(text);
    }

    pub(crate) fn press(&mut self, key: Key) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({
                "type": kind, "key": key.name, "code": key.name, "windowsVirtualKeyCode": key.code,
            });
            if kind == "keyDown" && !key.text.is_empty() {
                event["text"] = json!(key.text);
            }
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    /// All that can be read.
    pub(crate) fn text(&mut self) -> String {
        text(&self.evaluate("document.body.innerText"))
    }

    /// What stands in a field.
    pub(crate) fn value(&mut self, name: &str) -> String {
        text(&self.evaluate(&format!("{}.value", field(name))))
    }

    /// The whole page as a picture.
    pub(crate) fn screenshot(&mut self, file: &Path) {
        let size = self.call("Page.getLayoutMetrics", &json!({}))["cssContentSize"].take();
        let clip =
            json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        let picture = self.call(
            "Page.captureScreenshot",
            &json!({ "format": "png", "captureBeyondViewport": true, "clip": clip }),
        );
        let picture = BASE64_STANDARD
            .decode(text(&picture["data"]))
            .expect("base64 from DevTools");
        fs::write(file, picture).expect("the screenshot can be written");
        println!("screenshot: {}", file.display());
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn is_network_change(event: &Value) -> bool {
    event["errorText"] == "net::ERR_NETWORK_CHANGED"
}
