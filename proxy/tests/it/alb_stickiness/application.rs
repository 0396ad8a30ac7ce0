//! Sessions that the application begins with a cookie of its own.

use super::*;

#[test]
fn a_session_of_the_application_begins_and_ends_with_its_cookie() {
    let pair = Pair::new();
    let proxy = pair.setup().group(BY_APP).start();
    let counted = "app_cookie_non_stickiness_count_total{target_group=\"app\"}";
    let mut jar = Jar::default();
    let names = ["AWSALBAPP-0", "AWSALBAPP-1", "AWSALBAPP-2", "AWSALBAPP-3"];
    let before = jar.get_on(&mut proxy.connect(), "/");
    for (set, name) in before.all("set-cookie").iter().zip(names) {
        assert!(
            set.starts_with(&format!("{name}=_remove_; Expires=")),
            "{set}"
        );
    }
    assert_eq!(before.all("set-cookie").len(), 4);
    // In turn, as nothing binds it.
    assert_ne!(jar.get(&proxy, "/"), before.text());
    assert_eq!(proxy.metric(counted), 2);

    let mine = jar.get(&proxy, "/login");
    assert_eq!(jar.value("SESSION"), "x");
    assert_ne!(jar.value("AWSALBAPP-0"), "_remove_");
    for _ in 0..5 {
        assert_eq!(jar.get(&proxy, "/"), mine);
    }
    assert_eq!(proxy.metric(counted), 3);
    assert_eq!(proxy.metric(NON_STICKY), 0);

    // The target goes: the session stays where it goes then.
    let (target, well) = pair.named(&mine);
    well.store(false, SeqCst);
    proxy.wait_for_health(target.address, "unhealthy");
    assert_eq!(jar.get(&proxy, "/"), other(&mine));
    well.store(true, SeqCst);
    proxy.wait_for_health(target.address, "healthy");
    for _ in 0..3 {
        assert_eq!(jar.get(&proxy, "/"), other(&mine));
    }

    // Without the application's cookie it is over.
    jar.0.remove("SESSION");
    jar.get(&proxy, "/");
    assert_eq!(jar.value("AWSALBAPP-0"), "_remove_");
}
