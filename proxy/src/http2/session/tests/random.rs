//! What holds of whatever comes, in whatever order.

use proptest::collection::vec;
use proptest::prelude::*;

use super::play::{Play, pieces, read};
use super::*;

/// Frames that have to do with each other more often than not.
fn some_frame() -> impl Strategy<Value = Vec<u8>> {
    let stream = || prop_oneof![20 => prop::sample::select(vec![1, 3, 5, 7]), 1 => 0..12_u32];
    let flags = || prop::sample::select(vec![0, END_STREAM]);
    let fields = || {
        prop_oneof![
            4 => Just(request("GET", &[])),
            2 => Just(request("POST", &[("content-length", "5")])),
            2 => Just(block(&[("a", "b")])),
            // Fields that become entries of the table, and such entries.
            2 => Just([request("GET", &[]), b"\x40\x01x\x01y".to_vec()].concat()),
            2 => Just([request("GET", &[]), vec![0xbe]].concat()),
            1 => vec(any::<u8>(), 0..9),
        ]
    };
    let head = (stream(), flags(), fields()).prop_flat_map(|(stream, flags, fields)| {
        // In frames of one block.
        let cut = 0..=fields.len();
        let padding = prop_oneof![3 => Just(0), 1 => 1..9_u8];
        (any::<bool>(), cut, padding).prop_map(move |(whole, cut, padding)| {
            let padded = |payload: &[u8]| [&[padding], payload, &vec![0; padding.into()]].concat();
            let flags = flags | PADDED;
            if whole {
                return frame(HEADERS, flags | END_HEADERS, stream, padded(&fields));
            }
            let (first, second) = fields.split_at(cut);
            let rest = frame(CONTINUATION, END_HEADERS, stream, second);
            [frame(HEADERS, flags, stream, padded(first)), rest].concat()
        })
    });
    let content = (stream(), flags(), vec(any::<u8>(), 0..8));
    let setting_names = prop::sample::select(vec![1, 3, 4, 4, 6]);
    prop_oneof![
        6 => head,
        6 => content.prop_map(|(stream, flags, content)| frame(DATA, flags, stream, content)),
        1 => (stream(), 1..9_u32).prop_map(|(stream, more)| window_update(stream, more)),
        1 => stream().prop_map(|stream| frame(RST_STREAM, 0, stream, [0, 0, 0, 8])),
        1 => (setting_names, 0..99_u32).prop_map(|(name, value)| settings(name, value)),
        1 => flags().prop_map(|flags| frame(PING, flags, 0, [7; 8])),
        1 => Just(frame(PRIORITY, 0, 1, [0, 0, 0, 3, 1])),
        1 => Just(frame(0x77, 0, 3, [1; 20])),
        1 => (0..12_u8, any::<u8>(), stream(), vec(any::<u8>(), 0..9))
            .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, payload)),
    ]
}

proptest! {
    #[test]
    fn whatever_the_pieces_are_the_same_is_read(
        frames in vec(some_frame(), 0..24),
        sizes in vec(prop_oneof![3 => 0..16_u8, 1 => any::<u8>()], 1..6),
    ) {
        let stream = [PREFACE, &frame(SETTINGS, 0, 0, []), &frames.concat()].concat();
        let (whole, requests, output) = read([&*stream]);
        for cut in [pieces(&stream, &sizes), pieces(&stream, &[0])] {
            let again = read(cut);
            prop_assert_eq!(&requests, &again.1);
            prop_assert_eq!(said(&output), said(&again.2));
            prop_assert_eq!(whole.is_over(), again.0.is_over());
            if !whole.is_over() {
                prop_assert_eq!(format!("{whole:?}"), format!("{:?}", again.0));
            }
        }
    }

    #[test]
    fn whatever_is_done_nothing_is_lost_and_nobody_forgotten(
        data in vec(any::<u8>(), 0..1500),
    ) {
        let mut play = Play::new(&data);
        play.run(|session| {
            let all = session.streams.all();
            let (held, promised) = all.fold((0, 0), |(held, promised), stream| {
                (held + stream.content.len() + stream.taken, promised + stream.granted)
            });
            assert_eq!(session.window.whole() as usize + held, CONNECTION_WINDOW as usize);
            assert_eq!(session.promised, promised);
            assert!(session.unwritten().len() < MOST_UNWRITTEN);
        });
        play.end();
        let session = play.session;
        prop_assert!(session.streams.is_empty());
        prop_assert!(session.queue.is_empty());
        prop_assert!(session.endings.is_empty());
        prop_assert_eq!(session.promised, 0);
        prop_assert_eq!(session.window.whole(), CONNECTION_WINDOW);
    }
}
