//! RCMS with a certificate of an authority of its own.
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

use super::{
    live::account,
    stand_in::{StandIn, fleet},
};
use crate::{
    commands::{Machine, stderr, stdout},
    server::refused_start_with,
};

/// An authority, and a certificate of it for 127.0.0.1 with its key.
struct Authority {
    pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Self { pem, chain: vec![leaf.der().clone()], key }
    }

    /// Speaks TLS before a stand-in; gives its address.
    async fn before(&self, rcms: &StandIn) -> String {
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let inner = rcms.url().trim_start_matches("http://").to_owned();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, inner) = (acceptor.clone(), inner.clone());
                tokio::spawn(async move {
                    // Who does not trust the certificate leaves, which is their right.
                    let Ok(mut outer) = acceptor.accept(stream).await else { return };
                    let mut inner = TcpStream::connect(inner).await.unwrap();
                    drop(copy_bidirectional(&mut outer, &mut inner).await);
                });
            }
        });
        url
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_ones_own_is_trusted_where_its_file_is_named_and_nobody_else() {
    let rcms = StandIn::start().await;
    rcms.set_fleet(fleet(14));
    let (own, other) = (Authority::new(), Authority::new());
    let url = own.before(&rcms).await;
    let machine = Machine::new();
    machine.write("own.pem", &own.pem);
    machine.write("other.pem", &other.pem);
    machine.write("both.pem", &format!("{}{}", other.pem, own.pem));
    let total = |file: Option<&str>| {
        let mut variables = account(&url).to_vec();
        variables.extend(file.map(|file| ("SIMDECK_RCMS_CA_FILE", file)));
        machine.run_with(&["rcms", "total"], &variables, "")
    };
    for file in ["own.pem", "both.pem"] {
        let totals: Value = serde_json::from_str(&stdout(&total(Some(file)))).unwrap();
        assert_eq!(totals["deviceTotal"], 14, "{file}");
    }
    for file in [None, Some("other.pem")] {
        let told = stderr(&total(file));
        assert!(told.contains("SIMDECK_RCMS_CA_FILE") && told.contains("certificate"), "{told}");
        assert_eq!(told.lines().count(), 1, "one line, and no other's: {told}");
    }
}

#[test]
fn a_file_without_authorities_is_one_clear_error_of_the_setting() {
    let machine = Machine::new();
    let broken = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    let texts = [("junk", "junk"), ("empty", ""), ("broken", broken)];
    for (name, text) in texts {
        machine.write(name, text);
    }
    let should = "it should hold certificates in PEM, each one that an authority may have";
    let cases = [
        ("junk", format!("junk cannot be used: {should}")),
        ("empty", format!("empty cannot be used: {should}")),
        ("broken", format!("broken cannot be used: {should}")),
        ("absent", "absent cannot be read: No such file or directory".to_owned()),
    ];
    for (file, problem) in cases {
        let mut variables = account("https://127.0.0.1:9").to_vec();
        variables.push(("SIMDECK_RCMS_CA_FILE", file));
        let told = stderr(&machine.run_with(&["rcms", "total"], &variables, ""));
        assert!(told.starts_with("error: SIMDECK_RCMS_CA_FILE: "), "{told}");
        assert!(told.contains(&problem) && told.lines().count() == 1, "{told}");
        let checked = machine.run_with(&["config", "check"], &variables, "");
        let checked = [checked.stdout, checked.stderr].concat();
        assert!(String::from_utf8_lossy(&checked).contains(&problem), "config check: {file}");
        let folder = tempfile::TempDir::new().unwrap();
        if let Some(text) = texts.iter().find_map(|(name, text)| (*name == file).then_some(text)) {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        let told = refused_start_with(78, folder.path(), &variables);
        assert!(told.contains("SIMDECK_RCMS_CA_FILE: "), "{told}");
    }
}
