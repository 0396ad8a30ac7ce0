use std::path::Path;

use super::*;

/// Reads a small file of the form that the tests share, and gives the diagnostics as they are printed.
fn diagnostics(text: &str) -> Vec<String> {
    let outcome = read(text, Path::new("f.toml"), |root| {
        root.get("name").and_then(|value| value.string());
        root.get("ratio").and_then(|value| value.number());
        root.get("on").and_then(|value| value.boolean());
        for server in root.tables("server") {
            server.table(|server| {
                server
                    .required("port", "port = 80")
                    .and_then(|value| value.integer());
                for tag in server.get("tags").iter().flat_map(Value::one_or_list) {
                    tag.string();
                }
            });
        }
    });
    outcome
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_good_file_has_no_findings() {
    assert_eq!(diagnostics(""), [""; 0]);
    let text = "name = \"x\"\nratio = 1\non = true\n[[server]]\nport = 0x50\ntags = 'a'\n[[server]]\nport = 1_000\ntags = ['a', 'b']\n";
    assert_eq!(diagnostics(text), [""; 0]);
}

#[test]
fn all_mistakes_at_once_in_the_order_of_the_file() {
    let text = "\
nme = 'x'
on = 'yes'
ratio = nan

[[server]]
port = '80'
[[server]]
  tags = ['ä', 5, { a = 1 }]
colour = 'red'
";
    assert_eq!(
        diagnostics(text),
        [
            "f.toml:1:1: error: nme: unknown key; did you mean `name`?",
            "f.toml:2:6: error: on: is a string; write true or false",
            "f.toml:3:9: error: ratio: `nan` is not a finite number; write a number such as 1.5",
            "f.toml:6:8: error: server[0].port: is a string; write a whole number, without quotes",
            "f.toml:7:1: error: server[1].port: is missing; add `port = 80`",
            "f.toml:8:16: error: server[1].tags[1]: is a whole number; write a string, in quotes",
            "f.toml:8:19: error: server[1].tags[2]: is a table; write a string, in quotes",
            "f.toml:9:1: error: server[1].colour: unknown key; the keys here are port, tags",
        ]
    );
}

#[test]
fn syntax_errors_have_places_and_do_not_hide_the_rest() {
    assert_eq!(
        diagnostics("name = x\nratio = true\non = \n[[server]]\n"),
        [
            "f.toml:1:8: error: syntax: string values must be quoted; expected literal string",
            "f.toml:2:9: error: ratio: is true or false; write a number, without quotes",
            "f.toml:3:6: error: syntax: string values must be quoted; expected literal string",
        ],
        "what is missing after a syntax error may only have been misread"
    );
    assert_eq!(
        diagnostics("name = 'a'\nname = 'b'\n"),
        ["f.toml:2:1: error: syntax: the key `name` is there already; keep one of them"]
    );
}

#[test]
fn below_a_header_that_was_misread_only_syntax_is_judged() {
    for header in ["[[server]", "[[server", "[server]]", "[[ser ver]]"] {
        let text = format!("{header}\nport = 80\n[[server]]\nport = 81\n{header}\nport = 82\n");
        let found = diagnostics(&text);
        let places: Vec<&str> = found.iter().map(|line| &line[..21]).collect();
        assert_eq!(places.len(), 2, "{header}: {found:#?}");
        for (place, line) in places.iter().zip([1, 5]) {
            assert!(place.starts_with(&format!("f.toml:{line}:")), "{found:#?}");
        }
        assert!(found.iter().all(|line| line.contains("error: syntax: ")));
    }
    let twice = "[[server]]\nport = 80\n[on]\n[on]\n";
    assert_eq!(
        diagnostics(twice),
        ["f.toml:4:2: error: syntax: the key `on` is there already; keep one of them"]
    );
}

#[test]
fn numbers_that_do_not_fit() {
    assert_eq!(
        diagnostics("ratio = 1e400\n[[server]]\nport = 99999999999999999999\n"),
        [
            "f.toml:1:9: error: ratio: `1e400` is not a finite number; write a number such as 1.5",
            "f.toml:3:8: error: server[0].port: `99999999999999999999` is out of range; write a number of at most 64 bits",
        ]
    );
}

#[test]
fn a_diagnostic_is_one_line_and_columns_are_characters() {
    assert_eq!(
        diagnostics("\u{feff}\"ä\\nb\" = 1"),
        ["f.toml:1:1: error: ä\\nb: unknown key; the keys here are name, ratio, on, server"]
    );
    assert_eq!(
        diagnostics("server = [{ tags = 'öö', port = true }]\r\nname = 1\r\n"),
        [
            "f.toml:1:33: error: server[0].port: is true or false; write a whole number, without quotes",
            "f.toml:2:8: error: name: is a whole number; write a string, in quotes",
        ]
    );
}

#[test]
fn tells_which_keys_it_knows() {
    let outcome = read("[[a]]\nb = { c = 1 }\n", Path::new("f.toml"), |root| {
        for a in root.tables("a") {
            a.table(|a| a.get("b").and_then(|b| b.table(|b| b.get("c").is_some())));
        }
    });
    let keys: Vec<&str> = outcome.keys.iter().map(String::as_str).collect();
    assert_eq!(keys, ["a", "a.b", "a.b.c"]);
}

#[test]
fn a_value_is_shown_short() {
    let outcome = read(
        "a = 'x'\nb = [1, 2]\nc = 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy'\n",
        Path::new("f.toml"),
        |root| ["a", "b", "c"].map(|key| root.get(key).map(|value| value.shown())),
    );
    let [a, b, c] = outcome.value.map(|shown| shown.expect("present"));
    assert_eq!((a.as_str(), b.as_str()), ("x", "[1, 2]"));
    assert_eq!(c, format!("{}...", "y".repeat(48)));
}

#[test]
fn a_file_that_cannot_be_read_is_one_diagnostic() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let missing = directory.path().join("none.toml");
    let diagnostic = read_text(&missing).expect_err("there is no such file");
    assert_eq!(
        diagnostic.to_string(),
        format!(
            "{}:1:1: error: file: cannot be read (No such file or directory (os error 2)); name a file that exists and that this user may read",
            missing.display()
        )
    );

    let latin1 = directory.path().join("latin1.toml");
    fs::write(&latin1, b"a = 1\nb = 'caf\xe9'\n").expect("writable");
    let diagnostic = read_text(&latin1).expect_err("not UTF-8");
    assert_eq!((diagnostic.line, diagnostic.column), (2, 9));
}
