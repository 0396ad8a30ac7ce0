//! What can be seen of a page: whether it fits, can be read, shows where the focus is and what is wrong; and pictures.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::page::{Page, TAB, field};

/// Pictures of the pages, kept for somebody to look at.
pub(crate) fn screenshot(page: &mut Page, name: &str) {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    fs::create_dir_all(&directory).expect("the target directory can be written");
    page.screenshot(&directory.join(name).with_extension("png"));
}

/// Nothing has to be scrolled sideways, and on a phone everything is large enough for a thumb.
pub(crate) fn assert_fits(page: &mut Page, width: u32, phone: bool) {
    // A phone zooms out for a page that is too wide, so the window's width alone would agree with anything.
    let widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]");
    assert_eq!(widths, json!([width, width]), "in\n{}", page.text());
    if phone {
        let small = page.evaluate(
            "[...document.querySelectorAll('button, .button, input[type=text], textarea')]
                .filter(element => element.getBoundingClientRect().height < 44).map(element => element.outerHTML)",
        );
        assert_eq!(small, json!([]), "smaller than 44 pixels");
    }
}

/// Every text stands out from what is behind it by the ratio that WCAG 2.2 wants for text of any size (1.4.3, AA).
pub(crate) fn assert_readable(page: &mut Page) {
    let unreadable = page.evaluate(
        "(() => {
            const parts = colour => colour.match(/[\\d.]+/g).map(Number);
            const luminance = colour => parts(colour).slice(0, 3)
                .map(part => part / 255)
                .map(part => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4)
                .reduce((sum, part, index) => sum + part * [.2126, .7152, .0722][index], 0);
            const ground = element => {
                const colour = getComputedStyle(element).backgroundColor;
                return (parts(colour)[3] ?? 1) === 1 || !element.parentElement ? colour : ground(element.parentElement);
            };
            const hasText = element => element.matches('input, textarea')
                || [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
            return [...document.body.querySelectorAll('*')].filter(hasText)
                .map(element => {
                    const pair = [getComputedStyle(element).color, ground(element)].map(luminance);
                    const contrast = (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
                    return { contrast, element: element.outerHTML.slice(0, 200) };
                })
                .filter(found => found.contrast < 4.5);
        })()",
    );
    assert_eq!(unreadable, json!([]));
}

/// The field is marked as wrong, for eyes and for screen readers.
pub(crate) fn assert_marked(page: &mut Page, name: &str) {
    let field = field(name);
    let marked = page.evaluate(&format!(
        "(() => {{
            const help = document.getElementById({field}.getAttribute('aria-describedby'));
            return {{
                invalid: {field}.ariaInvalid,
                error: help.textContent.startsWith('Error: '),
                colours: [getComputedStyle({field}).borderTopColor, getComputedStyle(help).color],
            }};
        }})()"
    ));
    assert_eq!(marked["invalid"], "true", "{marked}");
    assert_eq!(marked["error"], true, "{marked}");
    assert_eq!(marked["colours"][0], marked["colours"][1], "{marked}");
}

/// Presses Tab and names what has the focus then, which must be seen.
pub(crate) fn tab(page: &mut Page) -> String {
    page.press(TAB);
    let outline = page.evaluate(
        "(() => {
            const style = getComputedStyle(document.activeElement), box = document.activeElement.getBoundingClientRect();
            return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2
                && box.top >= 0 && box.bottom <= innerHeight;
        })()",
    );
    let name = focused(page);
    assert_eq!(outline, true, "the focus on {name} cannot be seen");
    name
}

/// The id or the words of what has the focus.
pub(crate) fn focused(page: &mut Page) -> String {
    let name = page.evaluate(
        "document.activeElement.id || document.activeElement.textContent.replace(/\\s+/g, ' ').trim()",
    );
    name.as_str().unwrap_or_default().to_owned()
}
