use super::*;

fn fields(table: &Table) -> Vec<String> {
    let field = |(name, value): Field<'_>| {
        let [name, value] = [name, value].map(|text| String::from_utf8(text.to_vec()).unwrap());
        format!("{name}: {value}")
    };
    (0..).map_while(|at| table.get(at).map(field)).collect()
}

#[test]
fn static_names_are_found_in_any_case() {
    for (name, _) in STATIC {
        let first = STATIC.iter().position(|(other, _)| *other == name).unwrap() + 1;
        for spelled in [name.to_ascii_uppercase(), name.to_vec()] {
            assert_eq!(static_name(&spelled), Some((first, name)));
        }
        assert_eq!(static_name(&[name, b"s"].concat()), None);
        assert_eq!(static_name(&name[1..]), None);
    }
    assert_eq!(static_name(b""), None);
}

#[test]
fn the_oldest_go_for_the_newest() {
    let mut table = Table::new();
    assert_eq!(table.get(0), None);
    table.set_most(100);
    table.insert(b"a", b"1");
    table.insert(b"b", b"2");
    assert_eq!(fields(&table), ["b: 2", "a: 1"]);
    table.insert(b"c", b"3");
    assert_eq!(fields(&table), ["c: 3", "b: 2"]);
    // 100 to the byte, and one more.
    table.insert(b"d", &[b'4'; 33]);
    assert_eq!(fields(&table).len(), 2);
    table.insert(b"e", &[b'5'; 34]);
    assert_eq!(fields(&table).len(), 1);
    table.insert(b"f", &[b'6'; 67]);
    assert_eq!(fields(&table).len(), 1);
    table.insert(b"g", &[b'7'; 68]);
    assert_eq!(fields(&table).len(), 0);
    table.insert(b"h", b"8");
    table.set_most(33);
    assert_eq!(fields(&table).len(), 0);
    table.insert(b"", b"9");
    assert_eq!(fields(&table), [": 9"]);
    table.insert(b"", b"");
    assert_eq!(fields(&table), [": "]);
    table.set_most(0);
    table.insert(b"", b"");
    assert_eq!(fields(&table).len(), 0);
    for number in [1, usize::MAX, usize::MAX - 1] {
        assert_eq!(table.get(number), None);
    }
}

#[test]
fn a_name_outlives_its_entry() {
    let mut table = Table::new();
    table.set_most(80);
    table.insert(b"name", b"1");
    table.insert(b"other", b"2");
    assert_eq!(fields(&table), ["other: 2", "name: 1"]);
    table.insert_named_as(1, b"34567");
    assert_eq!(fields(&table), ["name: 34567", "other: 2"]);
    table.insert_named_as(0, &[b'8'; 44]);
    assert_eq!(fields(&table), [format!("name: {}", "8".repeat(44))]);
    table.insert_named_as(0, &[b'8'; 45]);
    assert_eq!(fields(&table).len(), 0);
    table.insert_named_as(0, b"");
    assert_eq!(fields(&table).len(), 0);
}

/// Against the plainest table there is.
#[test]
fn what_was_dropped_is_cleared_away() {
    for most in [0, 40, 200, 1000, 4096] {
        let mut table = Table::new();
        table.set_most(most);
        let mut plain: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let size = |plain: &[(Vec<u8>, Vec<u8>)]| -> usize {
            let size = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len() + 32;
            plain.iter().map(size).sum()
        };
        for turn in 0..3000_usize {
            let value = vec![b'v'; turn * 7919 % 97 * (turn % 3)];
            let named = turn * 31 % 11;
            let name = match plain.get(named) {
                Some((name, _)) if turn % 2 == 0 => {
                    let name = name.clone();
                    table.insert_named_as(named, &value);
                    name
                }
                _ => {
                    let name = format!("name-{turn}").into_bytes();
                    table.insert(&name, &value);
                    name
                }
            };
            plain.insert(0, (name, value));
            while size(&plain) > most {
                plain.pop();
            }
            for at in 0..=plain.len() {
                let expected = plain.get(at).map(|(name, value)| (&name[..], &value[..]));
                assert_eq!(table.get(at), expected);
            }
        }
        assert_eq!(table.size, size(&plain));
        assert!(table.bytes.len() <= 2 * most + 300, "{}", table.bytes.len());
        assert!(table.entries.len() <= most / 16 + 2);
    }
}
