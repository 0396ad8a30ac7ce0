//! The pages in a real browser, by the whole path: Chromium, the TLS proxy, an app server, the database. Chromium trusts
//! our development authority as a user would make it, so every page that comes proves our certificates, too.

mod chromium;
mod devtools;
mod look;
mod page;
mod site;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use chromium::Chromium;
use look::{assert_fits, assert_marked, assert_readable, focused, screenshot, tab};
use page::{Arrival, ENTER, NetworkChanged, Page, control};
use site::Site;

/// How often a scenario may begin again.
const ATTEMPTS: usize = 6;

/// Plays a scenario with scripts off, in a browser that trusts `authority`. It is played again from the start, in a new
/// browser, if the network changed meanwhile.
fn in_a_browser(
    authority: Option<&Path>,
    scenario: impl Fn(&mut Page) -> Result<(), NetworkChanged>,
) {
    for attempt in 1..=ATTEMPTS {
        let mut chromium = Chromium::start(authority);
        let mut page = chromium.page();
        page.forbid_scripts();
        match scenario(&mut page) {
            Ok(()) => return,
            Err(NetworkChanged) => println!("attempt {attempt}: the network changed"),
        }
    }
    panic!(
        "the network of this machine changed during each of {ATTEMPTS} attempts; stop what starts containers"
    );
}

/// Adds, edits, turns on and deletes an entry, with scripts off. With `LINTEL_BROWSER_URL` and `LINTEL_BROWSER_CA` set
/// it does so on a path that runs already.
#[test]
fn an_entry_added_in_a_browser() {
    if chromium::is_excused() {
        return;
    }
    let site = Site::given_or_started();
    in_a_browser(Some(&site.authority), |page| {
        the_address_leads_to_a_secure_page(page, &site)?;
        an_entry_lives(page, &site)?;
        every_page_tells_its_way(page, &site)
    });
    site.stop();
}

fn the_address_leads_to_a_secure_page(page: &mut Page, site: &Site) -> Result<(), NetworkChanged> {
    let arrival = page.open(&site.url("/"))?;
    assert_secure(&arrival);
    assert_eq!(arrival.status, 200);
    if let Some((lintel, _)) = &site.lintel {
        let redirected = page.open(&format!("http://localhost:{}/", lintel.ports.http))?;
        assert_eq!(redirected.redirects, [(301, site.url("/"))]);
        assert_secure(&redirected);
    }
    Ok(())
}

/// Added, edited, turned on and off, deleted.
fn an_entry_lives(page: &mut Page, site: &Site) -> Result<(), NetworkChanged> {
    // Nobody else's entry has these words, and a page that escapes too little or too much shows others.
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let title = format!("Tea & <cake> {}", time.expect("after 1970").as_micros());
    let description = "first line\n<b>\"second\"</b> &amp; 日本語 😀";
    page.fill("title", &title);
    page.fill("description", description);
    let list = page.arrive(|page| page.click(&control("Add entry", "")))?;
    assert_changed(&list, site);
    assert_eq!(
        card(page, &title),
        json!({ "status": "Off", "description": description })
    );
    screenshot(page, "entry-added");

    page.arrive(|page| page.click(&control("Edit entry", &title)))?;
    assert_eq!(page.value("title"), title);
    assert_eq!(page.value("description"), description);
    let edited = format!("{title}, edited");
    page.fill("title", &edited);
    let list = page.arrive(|page| page.click(&control("Save changes", "")))?;
    assert_changed(&list, site);
    assert_eq!(card(page, &title), Value::Null);

    for (button, expected) in [("Turn on", "On"), ("Turn off", "Off")] {
        let list = page.arrive(|page| page.click(&control(button, &edited)))?;
        assert_changed(&list, site);
        assert_eq!(card(page, &edited)["status"], expected);
    }

    page.arrive(|page| page.click(&control("Delete entry", &edited)))?;
    assert!(page.text().contains("Delete this entry?") && page.text().contains(&edited));
    let list = page.arrive(|page| page.click(&control("Delete entry", "")))?;
    assert_changed(&list, site);
    assert_eq!(card(page, &edited), Value::Null);
    Ok(())
}

fn assert_secure(arrival: &Arrival) {
    assert_eq!(arrival.security, "secure", "{arrival:?}");
    assert!(
        arrival.issuer.starts_with("Lintel development"),
        "{arrival:?}"
    );
    assert_eq!(arrival.protocol, "h2", "{arrival:?}");
}

/// A change is answered with a redirect to the list, so that loading the page again repeats nothing.
fn assert_changed(list: &Arrival, site: &Site) {
    assert_eq!(list.redirects, [(303, site.url("/"))], "{list:?}");
    assert_eq!((list.status, &list.url), (200, &site.url("/")));
}

/// What the list shows of an entry.
fn card(page: &mut Page, title: &str) -> Value {
    page.evaluate(&format!(
        "(() => {{
            const card = [...document.querySelectorAll('li.entry')]
                .find(card => card.querySelector('h3').textContent === {});
            return card ? {{
                status: card.querySelector('.status').textContent,
                description: card.querySelector('.description').textContent,
            }} : null;
        }})()",
        json!(title)
    ))
}

/// The footer names client, scheme, instance and trace; each load has a trace of its own, and loading again shows
/// another instance.
fn every_page_tells_its_way(page: &mut Page, site: &Site) -> Result<(), NetworkChanged> {
    let (mut instances, mut traces) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..6 {
        page.open(&site.url("/"))?;
        let way = page.evaluate(
            "Object.fromEntries([...document.querySelectorAll('footer li')]
                .map(item => [item.querySelector('span').textContent, item.querySelector('b').textContent]))",
        );
        assert_eq!(way["Scheme"], "https", "{way}");
        assert_eq!(way["Through"], "load balancer", "{way}");
        let client = way["Client"].as_str().unwrap_or_default();
        let client: IpAddr = client.parse().unwrap_or_else(|_| panic!("{way}"));
        assert!(
            client.is_loopback() || site.lintel.is_none(),
            "{client} came to localhost"
        );
        instances.insert(way["Instance"].to_string());
        let trace = page.evaluate("document.querySelector('footer code').textContent");
        let trace = trace.as_str().unwrap_or_default().to_owned();
        assert!(trace.starts_with("1-") && trace.len() == 35, "{trace}");
        assert!(traces.insert(trace), "a trace came twice: {traces:?}");
    }
    if site.lintel.is_some() {
        assert_eq!(instances.len(), 2, "{instances:?}");
    }
    assert!(instances.len() > 1, "only {instances:?} answered");
    Ok(())
}

/// What makes the other tests mean something: Chromium does check.
#[test]
fn a_browser_that_does_not_know_our_authority_refuses_the_page() {
    if chromium::is_excused() {
        return;
    }
    let site = Site::start();
    in_a_browser(None, |page| {
        let refusal = page.refusal(&site.url("/"))?;
        assert_eq!(refusal, "net::ERR_CERT_AUTHORITY_INVALID");
        Ok(())
    });
    site.stop();
}

#[test]
fn the_keyboard_is_enough_and_nothing_typed_is_lost() {
    if chromium::is_excused() {
        return;
    }
    let site = Site::start();
    in_a_browser(Some(&site.authority), |page| {
        a_refused_form_is_mended(page, &site)?;
        tab_reaches_every_entry(page)
    });
    site.stop();
}

fn a_refused_form_is_mended(page: &mut Page, site: &Site) -> Result<(), NetworkChanged> {
    page.open(&site.url("/"))?;

    for expected in ["Skip to the content", "Lintel", "title"] {
        assert_eq!(tab(page), expected);
    }
    let too_long = "x".repeat(65);
    page.type_over(&too_long);
    assert_eq!(tab(page), "description");
    page.type_over("kept\nwhole");
    assert_eq!(tab(page), "Add entry");
    let refused = page.arrive(|page| page.press(ENTER))?;
    assert_eq!(
        (refused.status, refused.url.as_str()),
        (422, site.url("/add").as_str())
    );
    assert_eq!(page.value("title"), too_long);
    assert_eq!(page.value("description"), "kept\nwhole");
    assert!(page.text().contains("at most 64 characters"));
    assert_marked(page, "title");
    screenshot(page, "too-long-a-title");

    // The field that is wrong has the focus. Return in it sends the form, as anywhere.
    assert_eq!(focused(page), "title");
    page.type_over("short enough");
    let list = page.arrive(|page| page.press(ENTER))?;
    assert_changed(&list, site);
    assert_eq!(card(page, "short enough")["description"], "kept\nwhole");
    Ok(())
}

fn tab_reaches_every_entry(page: &mut Page) -> Result<(), NetworkChanged> {
    for expected in ["Turn on", "Edit", "Delete"] {
        let reached = (0..10)
            .map(|_| tab(page))
            .find(|name| name.starts_with(expected));
        assert!(reached.is_some(), "Tab does not reach {expected}");
    }
    page.arrive(|page| page.press(ENTER))?;
    assert!(page.text().contains("Delete this entry?"));
    Ok(())
}

#[test]
fn every_page_fits_a_phone_and_can_be_read_in_the_dark() {
    if chromium::is_excused() {
        return;
    }
    let site = Site::start();
    let (lintel, _) = site.lintel.as_ref().expect("started");
    let title = "W".repeat(64);
    for title in ["A short one", &title, "كيف الحال", "On its way"] {
        lintel.add_entry(title);
    }
    in_a_browser(Some(&site.authority), |page| {
        page.open(&site.url("/"))?;
        if card(page, "On its way")["status"] == "Off" {
            page.arrive(|page| page.click(&control("Turn on", "On its way")))?;
        }
        Ok(())
    });
    for scheme in ["light", "dark"] {
        for (device, width, height) in [("desktop", 1280, 900), ("phone", 390, 844)] {
            in_a_browser(Some(&site.authority), |page| {
                page.prefer(scheme);
                page.view(width, height, device == "phone");
                every_page(page, &site, |page, name| {
                    assert_fits(page, width, device == "phone");
                    assert_readable(page);
                    screenshot(page, &format!("{name}-{device}-{scheme}"));
                })
            });
        }
    }
    site.stop();
}

/// Calls `check` on each kind of page.
fn every_page(
    page: &mut Page,
    site: &Site,
    check: impl Fn(&mut Page, &str),
) -> Result<(), NetworkChanged> {
    for (name, path, status) in [
        ("list", "/", 200),
        ("edit", "/update/2", 200),
        ("delete", "/delete/2", 200),
        ("error", "/no-such-page", 404),
    ] {
        assert_eq!(page.open(&site.url(path))?.status, status, "{path}");
        check(page, name);
    }
    page.open(&site.url("/"))?;
    page.fill("title", &"W".repeat(65));
    page.fill("description", &"w".repeat(1000));
    page.arrive(|page| page.click(&control("Add entry", "")))?;
    check(page, "refused");
    Ok(())
}
