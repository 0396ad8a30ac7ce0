//! How deep the chain of a client's certificate may be.

use rcgen::{BasicConstraints, CertifiedIssuer, DnType, IsCa};

use super::*;

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

#[test]
fn a_chain_of_four_is_the_deepest_that_is_verified() {
    let key = || KeyPair::generate().unwrap();
    let mut issuers = vec![CertifiedIssuer::self_signed(authority("root"), key()).unwrap()];
    let directory = tempfile::tempdir().unwrap();
    let certificates = directory.path().join("ca.pem");
    fs::write(&certificates, issuers[0].pem()).unwrap();
    let store = TrustStore {
        certificates,
        revocation_lists: Vec::new(),
        ignore_client_certificate_expiry: false,
        advertise_ca_names: false,
    };
    let verifier = MutualAuthentication::Verify(store).verifier();
    let verifier = verifier.unwrap().unwrap();
    for between in 0..4 {
        let issuer = issuers.last().unwrap();
        let leaf = CertificateParams::default();
        let leaf = leaf.signed_by(&key(), issuer).unwrap();
        let next = CertifiedIssuer::signed_by(authority(&between.to_string()), key(), issuer);
        let chain = issuers[1..].iter().rev();
        let chain: Vec<_> = chain.map(|issuer| issuer.der().clone()).collect();
        assert_eq!(chain.len(), between);
        let verified = verifier.verify_client_cert(leaf.der(), &chain, UnixTime::now());
        let failure = verified
            .err()
            .map(|error| client_certificate_failure(&error));
        let expected = (between > 2).then_some("ClientCertMaxChainDepthExceeded");
        assert_eq!(failure, expected, "{between} between it and the root");
        let root = issuers[0].der().clone();
        let with_root = [chain, vec![root]].concat();
        let verified = verifier.verify_client_cert(leaf.der(), &with_root, UnixTime::now());
        assert_eq!(
            verified.is_ok(),
            between <= 2,
            "{between} and the root shown"
        );
        issuers.push(next.unwrap());
    }
    // Nor may a client show any number of what nobody has asked for.
    let leaf = CertificateParams::default().signed_by(&key(), &issuers[0]);
    for roots in 0..6 {
        let shown = vec![issuers[0].der().clone(); roots];
        let verified =
            verifier.verify_client_cert(leaf.as_ref().unwrap().der(), &shown, UnixTime::now());
        assert_eq!(verified.is_ok(), roots <= 3, "{roots} roots");
    }
}
