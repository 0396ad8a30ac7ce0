use super::super::huffman::tests::{encoded, packed};
use super::super::table::OVERHEAD;
use super::*;

type Fields = Vec<(String, String)>;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let octet = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(octet).collect()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, Broken> {
    let mut fields = Vec::new();
    let mut scratch = Vec::new();
    decoder.decode(block, &mut scratch, |name, value| {
        let [name, value] = [name, value].map(|text| String::from_utf8(text.to_vec()).unwrap());
        fields.push((name, value));
    })?;
    assert!(scratch.capacity() <= 32 + block.len() * 4);
    Ok(fields)
}

fn lines(fields: &str) -> Fields {
    let field = |line: &str| {
        let (name, value) = line.trim_start().split_once("= ").unwrap();
        (name.to_owned(), value.to_owned())
    };
    fields.lines().map(field).collect()
}

/// The blocks of one connection, each with its fields and the dynamic table behind it.
fn check(decoder: &mut Decoder, blocks: &[(&str, &str, &str)]) {
    for (block, fields, table) in blocks {
        assert_eq!(decode(decoder, &hex(block)), Ok(lines(fields)), "{block}");
        let table = lines(table);
        for (number, entry) in table.iter().enumerate() {
            let index = [0x80 | (DYNAMIC + number) as u8];
            assert_eq!(decode(decoder, &index), Ok(vec![entry.clone()]));
        }
        assert_eq!(decoder.table.get(table.len()), None);
    }
}

fn with_size(size: usize) -> Decoder {
    let mut decoder = Decoder::new(4096);
    decoder.table.set_most(size);
    decoder
}

const REQUESTS: [(&str, &str); 3] = [
    (
        ":method= GET\n:scheme= http\n:path= /\n:authority= www.example.com",
        ":authority= www.example.com",
    ),
    (
        ":method= GET\n:scheme= http\n:path= /\n:authority= www.example.com\ncache-control= no-cache",
        "cache-control= no-cache\n:authority= www.example.com",
    ),
    (
        ":method= GET\n:scheme= https\n:path= /index.html\n:authority= www.example.com\ncustom-key= custom-value",
        "custom-key= custom-value\ncache-control= no-cache\n:authority= www.example.com",
    ),
];

const RESPONSES: [(&str, &str); 3] = [
    (
        ":status= 302\ncache-control= private\ndate= Mon, 21 Oct 2013 20:13:21 GMT
        location= https://www.example.com",
        "location= https://www.example.com\ndate= Mon, 21 Oct 2013 20:13:21 GMT
        cache-control= private\n:status= 302",
    ),
    (
        ":status= 307\ncache-control= private\ndate= Mon, 21 Oct 2013 20:13:21 GMT
        location= https://www.example.com",
        ":status= 307\nlocation= https://www.example.com\ndate= Mon, 21 Oct 2013 20:13:21 GMT
        cache-control= private",
    ),
    (
        ":status= 200\ncache-control= private\ndate= Mon, 21 Oct 2013 20:13:22 GMT
        location= https://www.example.com\ncontent-encoding= gzip
        set-cookie= foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        "set-cookie= foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1
        content-encoding= gzip\ndate= Mon, 21 Oct 2013 20:13:22 GMT",
    ),
];

fn check_sequence(size: usize, blocks: [&str; 3], expected: [(&str, &str); 3]) {
    let mut decoder = with_size(size);
    for (block, (fields, table)) in blocks.into_iter().zip(expected) {
        check(&mut decoder, &[(block, fields, table)]);
    }
}

#[test]
fn single_fields_of_the_rfc() {
    for (block, field, table) in [
        (
            "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            "custom-key= custom-header",
            "custom-key= custom-header",
        ),
        (
            "040c 2f73 616d 706c 652f 7061 7468",
            ":path= /sample/path",
            "",
        ),
        (
            "1008 7061 7373 776f 7264 0673 6563 7265 74",
            "password= secret",
            "",
        ),
        ("82", ":method= GET", ""),
    ] {
        check(&mut Decoder::new(4096), &[(block, field, table)]);
    }
}

#[test]
fn requests_of_the_rfc() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let huffman = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    check_sequence(4096, plain, REQUESTS);
    check_sequence(4096, huffman, REQUESTS);
}

#[test]
fn responses_of_the_rfc() {
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
         6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
         3d31",
    ];
    let huffman = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
         9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    let joined = |blocks: [&str; 3]| blocks.map(|block| block.replace('\n', " "));
    for blocks in [joined(plain), joined(huffman)] {
        check_sequence(256, [&blocks[0], &blocks[1], &blocks[2]], RESPONSES);
    }
}

#[test]
fn malformed_blocks_are_broken() {
    for (block, what) in [
        ("80", "index zero"),
        ("be", "an index past the static table"),
        ("c0", "an index further past it"),
        ("ff", "an index cut off"),
        ("ff80", "an index cut off later"),
        ("ff80808000", "a large index, in few octets"),
        ("ff8080808000", "an index in too many octets"),
        ("ffffffffff7f", "an index in too many bits"),
        ("ffffffffffffffffffff7f", "an index that overflows"),
        ("7e0161", "a name past the table"),
        ("0f80", "a name's index cut off"),
        ("0f7f0161", "a name past the table, not indexed"),
        ("40", "a literal without name and value"),
        ("400161", "a literal without value"),
        ("4002", "a name cut off"),
        ("400261", "a name cut off later"),
        ("4001610261", "a value cut off"),
        ("44", "a value that is missing"),
        ("447f", "a value's length cut off"),
        ("44ff", "a coded value's length cut off"),
        ("447fffffffff7f", "a value's length in too many bits"),
        ("447fffffff7f00", "a value much longer than the block"),
        ("4481", "a coded value cut off"),
        ("4481ff", "a value of nothing but padding, of an octet"),
        ("448400000000ff", "the same, behind a value"),
        ("448118", "a value's padding of zeros"),
        ("4485ffffffff ff", "the end of a string"),
        ("408118 0161", "a name's padding of zeros"),
        ("3f e2 1f", "a table of more than is allowed"),
        ("3f ffffff7f", "a table of much more"),
        ("3f ffffffff7f", "a table's size in too many bits"),
        ("3f", "a table's size cut off"),
        ("20 20 20", "three sizes"),
        ("82 20", "a size behind a field"),
        ("3fe11f 82 3fe11f", "a size between fields"),
    ] {
        let mut decoder = Decoder::new(4096);
        assert_eq!(decode(&mut decoder, &hex(block)), Err(Broken), "{what}");
        // Nor is it better with fields before it, unless it is about what a block begins with.
        if hex(block)[0] & 0xe0 != 0x20 {
            let behind = [vec![0x82], hex(block)].concat();
            let result = decode(&mut Decoder::new(4096), &behind);
            assert_eq!(result, Err(Broken), "{what}, behind a field");
        }
    }
    let end = [vec![0x44, 0x84], packed(&"1".repeat(32))].concat();
    assert_eq!(decode(&mut Decoder::new(4096), &end), Err(Broken));
}

#[test]
fn unusual_blocks_are_not() {
    for (block, fields) in [
        ("", ""),
        ("20", ""),
        ("20 3fe11f", ""),
        ("3fe11f 82", ":method= GET"),
        ("20 20 82", ":method= GET"),
        // An integer with zeros in front of it.
        ("3f 818000", ""),
        ("0f 00 0161", "accept-charset= a"),
        ("1f 00 0161", "accept-charset= a"),
        ("4000 00", "= "),
        ("4080 80", "= "),
        ("448107", ":path= 0"),
        ("447f 00", &format!(":path= {}", "a".repeat(127))),
    ] {
        let mut block = hex(block);
        if block == [0x44, 0x7f, 0x00] {
            block.extend([b'a'; 127]);
        }
        let decoded = decode(&mut Decoder::new(4096), &block);
        assert_eq!(decoded, Ok(lines(fields)), "{block:x?}");
    }
}

#[test]
fn the_table_is_as_large_as_it_is_said_to_be() {
    let mut decoder = Decoder::new(100);
    let field = |name: &str, value: &str| {
        let [name, value] = [name, value].map(|text| {
            let text = encoded(text.as_bytes());
            [vec![0x80 | text.len() as u8], text].concat()
        });
        [vec![0x40], name, value].concat()
    };
    // 4,096 until it is said what else.
    for number in 0..10 {
        let block = field(&format!("name-{number}"), "a value");
        assert_eq!(
            decode(&mut decoder, &block).map(|fields| fields.len()),
            Ok(1)
        );
    }
    assert!(decode(&mut decoder, &[0xc7]).is_ok());
    assert_eq!(decode(&mut Decoder::new(100), &hex("3f46")), Err(Broken));
    assert_eq!(
        decode(&mut decoder, &hex("3f45 bf")),
        Ok(lines("name-8= a value"))
    );
    assert!(decoder.table.get(1).is_some() && decoder.table.get(2).is_none());
    // One that is too large empties it, and comes out all the same.
    let large = "v".repeat(100 - OVERHEAD);
    let block = field("n", &large);
    let decoded = decode(&mut decoder, &block);
    assert_eq!(decoded, Ok(vec![("n".to_owned(), large)]));
    assert_eq!(decode(&mut decoder, &[0xbe]), Err(Broken));
    // A table that was emptied for a moment.
    let block = [field("n", "v"), vec![0xbe]].concat();
    assert_eq!(
        decode(&mut decoder, &block).map(|fields| fields.len()),
        Ok(2)
    );
    assert_eq!(decode(&mut decoder, &hex("20 3f45 be")), Err(Broken));
}

#[test]
fn a_name_may_be_that_of_the_entry_that_goes() {
    let mut decoder = with_size(40);
    let block = [&hex("4004")[..], b"name\x01a", &[0x7e, 1], b"b", &[0xbe]].concat();
    let expected = "name= a\nname= b\nname= b";
    assert_eq!(decode(&mut decoder, &block), Ok(lines(expected)));
}

#[test]
fn no_bytes_make_it_panic() {
    let mut seed = 1_u64;
    let mut decoder = Decoder::new(4096);
    let mut scratch = Vec::new();
    for _ in 0..200_000 {
        let mut block = [0; 24];
        for octet in &mut block {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            // Short lengths more often than others.
            *octet = (seed >> 33) as u8 & if seed >> 63 == 0 { 0xff } else { 0xc7 };
        }
        _ = decoder.decode(&block, &mut scratch, |_, _| {});
        assert!(scratch.len() <= 2 * block.len());
    }
}
