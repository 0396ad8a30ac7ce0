//! Sessions that several load balancers know.

use super::*;

#[test]
fn nodes_with_the_same_secrets_share_their_sessions() {
    let pair = Pair::new();
    let directory = tempfile::tempdir().unwrap();
    let secret = |name: &str| {
        let path = directory.path().join(name).display().to_string();
        std::fs::write(&path, format!("{name:x>40}\n")).unwrap();
        path
    };
    let (old, new) = (secret("old"), secret("new"));
    let with = |files: &str| {
        pair.setup()
            .group(LB_COOKIE)
            .with(&format!("secret_key_files = [{files}]"))
    };
    let one = with(&format!("'{old}'")).start();
    let two = with(&format!("'{old}'")).start();
    let mut jar = Jar::default();
    let first = jar.get(&one, "/");
    for _ in 0..3 {
        assert_eq!(jar.get(&two, "/"), first);
    }
    assert_eq!(two.metric(NON_STICKY), 0);
    // A new secret comes to one node and then to the other, then the old one goes: no session ends.
    for files in [
        format!("'{old}', '{new}'"),
        format!("'{new}', '{old}'"),
        format!("'{new}'"),
    ] {
        for node in [&one, &two] {
            node.reload(&with(&files)).unwrap();
            assert_eq!(jar.get(&one, "/"), first, "{files}");
            assert_eq!(jar.get(&two, "/"), first, "{files}");
        }
    }
    assert_eq!((one.metric(NON_STICKY), two.metric(NON_STICKY)), (1, 0));

    // The file is read again at a reload.
    std::fs::write(&new, "y".repeat(40)).unwrap();
    one.reload(&with(&format!("'{new}'"))).unwrap();
    let stranger = jar.clone();
    let before = one.metric(NON_STICKY);
    stranger.clone().get(&one, "/");
    assert_eq!(one.metric(NON_STICKY), before + 1);
    std::fs::remove_file(&new).unwrap();
    assert!(one.reload(&with(&format!("'{new}'"))).is_err());
    // Without files each has its own, and keeps it through reloads.
    let (alone, other_one) = (pair.setup().group(LB_COOKIE), pair.setup().group(LB_COOKIE));
    let (alone, other_one) = (alone.start(), other_one.start());
    let mut jar = Jar::default();
    jar.get(&alone, "/");
    alone
        .reload(&pair.setup().group(LB_COOKIE).with("idle_timeout = 61"))
        .unwrap();
    jar.clone().get(&alone, "/");
    assert_eq!(alone.metric(NON_STICKY), 1);
    jar.get(&other_one, "/");
    assert_eq!(other_one.metric(NON_STICKY), 1);
}
