//! What is written by hand is what serde_json, `time` and the standard library write.

use proptest::prelude::*;
use time::macros::format_description;

use super::*;

fn written(write: impl FnOnce(&mut Json<'_>)) -> String {
    let mut buffer = Vec::new();
    write(&mut Json(&mut buffer));
    String::from_utf8(buffer).unwrap()
}

#[track_caller]
fn assert_as_serde(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert_eq!(
        written(|json| json.text(|json| json.escaped(bytes))),
        serde_json::to_string(&text).unwrap()
    );
}

#[test]
fn every_byte_wherever_it_stands_is_escaped_as_serde_does() {
    for byte in 0..=u8::MAX {
        for length in [1, RUN - 1, RUN, RUN + 1, 3 * RUN + 5] {
            for at in 0..length {
                let mut text = vec![b'x'; length];
                text[at] = byte;
                assert_as_serde(&text);
            }
        }
    }
}

#[test]
fn what_is_not_utf_8_is_shown_as_such() {
    let text =
        written(|json| json.text(|json| json.escaped(b"a\xff\"b\xe2\x82\\ \xf0\x9f\xa6\x80")));
    assert_eq!(text, "\"a\u{fffd}\\\"b\u{fffd}\\\\ \u{1f980}\"");
    assert_as_serde(b"");
    assert_as_serde("Zürich, 東京, 🦀 and a good deal of plain text".as_bytes());
}

proptest! {
    #[test]
    fn any_bytes_are_escaped_as_serde_does(bytes: Vec<u8>) {
        assert_as_serde(&bytes);
    }

    #[test]
    fn any_text_is_escaped_as_serde_does(text: String) {
        assert_as_serde(text.as_bytes());
    }

    #[test]
    fn any_number_is_decimal(number: u64, shift in 0..64_u32) {
        let number = number >> shift;
        prop_assert_eq!(written(|json| json.number(number)), number.to_string());
    }

    #[test]
    fn any_id_has_32_digits(id: u128, shift in 0..128_u32) {
        let id = id >> shift;
        prop_assert_eq!(written(|json| json.hex_id(id)), format!("{id:032x}"));
    }

    #[test]
    fn any_moment_is_written_as_time_does(seconds in 0..253_402_300_800_u64, nanos in 0..1_000_000_000_u32) {
        let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        let format = format_description!("\"[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z\"");
        let expected = OffsetDateTime::from(time).format(format).unwrap();
        prop_assert_eq!(written(|json| json.timestamp(time)), expected);
    }

    #[test]
    fn any_milliseconds_are_written_as_serde_does(millis in 0..10_000_000_000_u64) {
        let text = written(|json| json.seconds(Some(Duration::from_millis(millis))));
        prop_assert_eq!(text, serde_json::to_string(&(millis as f64 / 1000.0)).unwrap());
    }

    #[test]
    fn any_address_is_written_as_the_standard_library_does(address: SocketAddr) {
        prop_assert_eq!(written(|json| json.address(address)), address.to_string());
        prop_assert_eq!(written(|json| json.ip(address.ip())), address.ip().to_string());
    }
}

#[test]
fn seconds_are_rounded_to_thousandths() {
    for (micros, expected) in [
        (0, "0.0"),
        (499, "0.0"),
        (500, "0.001"),
        (9_500, "0.01"),
        (20_000, "0.02"),
        (99_999, "0.1"),
        (123_456, "0.123"),
        (999_500, "1.0"),
        (61_010_000, "61.01"),
    ] {
        let time = Duration::from_micros(micros);
        assert_eq!(written(|json| json.seconds(Some(time))), expected);
    }
    assert_eq!(written(|json| json.seconds(None)), "-1.0");
}
