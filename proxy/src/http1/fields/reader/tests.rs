use super::*;

fn read(line: &str) -> Result<(String, Vec<u8>), Malformed> {
    let block = format!("before\r\n{line}\r\n\r\n");
    let mut reader = FieldsReader::default();
    reader.line(Line {
        start: 8,
        text: line.as_bytes(),
        rest: &block.as_bytes()[8..],
    })?;
    let fields = reader.finish(block.as_bytes());
    let field = fields.iter().next().unwrap();
    Ok((field.spelled.to_owned(), field.value.to_vec()))
}

#[test]
fn a_value_has_no_blanks_around_it() {
    for (line, spelled, value) in [
        ("A: b", "A", "b"),
        ("a:b", "a", "b"),
        ("A:\t b \tc\t ", "A", "b \tc"),
        ("A:", "A", ""),
        ("A: ", "A", ""),
        ("A: \t \t", "A", ""),
        ("A::", "A", ":"),
        ("A: :b:", "A", ":b:"),
        (
            "!#$%&'*+-.^_`|~09azAZ: \"(),/:;<=>?@[]{}\"",
            "!#$%&'*+-.^_`|~09azAZ",
            "\"(),/:;<=>?@[]{}\"",
        ),
        ("A: \u{e4}", "A", "\u{e4}"),
    ] {
        let expected = Ok((spelled.to_owned(), value.as_bytes().to_vec()));
        assert_eq!(read(line), expected, "{line:?}");
    }
}

#[test]
fn what_is_wrong_with_a_line_is_told_apart() {
    for (line, wrong) in [
        (" A: b", Malformed::FoldedField),
        ("\tA: b", Malformed::FoldedField),
        (" ", Malformed::FoldedField),
        ("A", Malformed::MissingColon),
        ("A b", Malformed::MissingColon),
        ("(", Malformed::MissingColon),
        (":", Malformed::EmptyFieldName),
        (": b", Malformed::EmptyFieldName),
        ("A : b", Malformed::BlankBeforeColon),
        ("A \t: b", Malformed::BlankBeforeColon),
        ("A B: c", Malformed::FieldName),
        ("(A): c", Malformed::FieldName),
        ("A\"b\": c", Malformed::FieldName),
        ("\u{e4}: c", Malformed::FieldName),
    ] {
        assert_eq!(read(line), Err(wrong), "{line:?}");
    }
}
