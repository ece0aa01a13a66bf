//! Keys and signatures of OpenSSL, in every form that it writes.

use std::fs;

use barge::error::Class;
use barge::signing::{KeyError, KeyType, Password, PrivateKey, PublicKey, Signature, SignatureError};

use crate::work::{Work, work};

/// What makes a file `k`, in the form that stands first.
const FORMS: [(&str, KeyType, &[&str]); 10] = [
    ("PKCS#8", KeyType::P256, &["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k"]),
    ("SEC1 with parameters before it", KeyType::P256, &["ecparam -name prime256v1 -genkey -out k"]),
    ("SEC1", KeyType::P256, &["ecparam -name prime256v1 -genkey -noout -out k"]),
    (
        "a point that is compressed",
        KeyType::P256,
        &["ecparam -name prime256v1 -genkey -noout -out s", "ec -in s -conv_form compressed -out k"],
    ),
    (
        "encrypted",
        KeyType::P256,
        &["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:secret -out k"],
    ),
    (
        "encrypted with AES-128 and SHA-512",
        KeyType::P256,
        &[
            "ecparam -name prime256v1 -genkey -noout -out s",
            "pkcs8 -topk8 -v2 aes-128-cbc -v2prf hmacWithSHA512 -iter 10000 -in s -passout pass:secret -out k",
        ],
    ),
    (
        "encrypted by scrypt",
        KeyType::P256,
        &["ecparam -name prime256v1 -genkey -noout -out s", "pkcs8 -topk8 -scrypt -in s -passout pass:secret -out k"],
    ),
    ("PKCS#8", KeyType::Ed25519, &["genpkey -algorithm ED25519 -out k"]),
    ("encrypted", KeyType::Ed25519, &["genpkey -algorithm ED25519 -aes256 -pass pass:secret -out k"]),
    (
        "encrypted by scrypt",
        KeyType::Ed25519,
        &["genpkey -algorithm ED25519 -out s", "pkcs8 -topk8 -scrypt -in s -passout pass:secret -out k"],
    ),
];

fn openssl(work: &Work, lines: &[&str]) {
    for line in lines {
        work.run(&format!("openssl {line}"));
    }
}

/// Signs `file` with `k` and leaves the signature in `sig`, as OpenSSL does it.
fn sign(work: &Work, key_type: KeyType) {
    match key_type {
        KeyType::P256 => openssl(work, &["dgst -sha256 -sign k -passin pass:secret -out sig file"]),
        KeyType::Ed25519 => openssl(work, &["pkeyutl -sign -inkey k -passin pass:secret -rawin -in file -out sig"]),
    }
}

/// How OpenSSL checks `sig` of `file` with `pub`.
fn check(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::P256 => "openssl dgst -sha256 -verify pub -signature sig file",
        KeyType::Ed25519 => "openssl pkeyutl -verify -pubin -inkey pub -rawin -in file -sigfile sig",
    }
}

#[test]
fn keys_of_openssl_sign_and_check_here_as_there() {
    let Some(work) = work(&["openssl"]) else { return };
    work.write("file", "packing list\n");
    for (form, key_type, made_by) in FORMS {
        let form = format!("{key_type}, {form}");
        openssl(&work, made_by);
        openssl(&work, &["pkey -in k -passin pass:secret -pubout -out pub"]);
        let (pem, public) = (work.read("k"), PublicKey::from_pem(&work.read("pub")).unwrap());
        let key = match form.contains("encrypted") {
            false => PrivateKey::from_pem(&pem, None).unwrap(),
            true => {
                let password = |text: &str| Password::new(text);
                assert_eq!(PrivateKey::from_pem(&pem, None).unwrap_err(), KeyError::Locked, "{form}");
                let wrong = PrivateKey::from_pem(&pem, Some(&password("Secret"))).unwrap_err();
                assert_eq!(wrong, KeyError::WrongPassword, "{form}");
                PrivateKey::from_pem(&pem, Some(&password("secret"))).unwrap()
            }
        };
        assert_eq!((key.key_type(), key.public_key()), (key_type, public.clone()), "{form}");

        sign(&work, key_type);
        let theirs = Signature::parse(&work.read("sig")).unwrap();
        assert_eq!(public.verify(b"packing list\n", &theirs), Ok(()), "{form}");
        let mismatch = SignatureError::Mismatch { key: Box::new(public.fingerprint()) };
        assert_eq!(public.verify(b"packing list", &theirs), Err(mismatch), "{form}");

        // through a file in base64, as OpenSSL reads it
        let ours = key.sign(b"packing list\n").unwrap();
        work.write("file.sig", &ours.to_text());
        openssl(&work, &["base64 -d -A -in file.sig -out sig"]);
        work.run(check(key_type));
        fs::write(work.path("pub"), public.to_pem()).unwrap();
        work.run(check(key_type));
        work.write("file", "another list\n");
        work.fails(check(key_type));
        work.write("file", "packing list\n");
    }
}

#[test]
fn fingerprints_are_what_openssl_and_sha256sum_say() {
    let Some(work) = work(&["openssl", "sha256sum"]) else { return };
    for key_type in [KeyType::P256, KeyType::Ed25519] {
        let public = PrivateKey::generate(key_type).unwrap().public_key();
        work.write("pub", &public.to_pem());
        openssl(&work, &["pkey -pubin -in pub -outform DER -out der"]);
        let sum = work.run("sha256sum der");
        assert_eq!(public.fingerprint().hex(), sum.split(' ').next().unwrap());
        // what OpenSSL writes of it is what barge wrote
        openssl(&work, &["pkey -pubin -in pub -out again"]);
        assert_eq!(work.read("again"), public.to_pem().as_bytes());
    }
}

#[test]
fn openssl_reads_the_keys_made_here() {
    let Some(work) = work(&["openssl"]) else { return };
    work.write("file", "packing list\n");
    for key_type in [KeyType::P256, KeyType::Ed25519] {
        let key = PrivateKey::generate(key_type).unwrap();
        work.write("k", &key.to_pem().unwrap());
        openssl(&work, &["pkey -in k -pubout -out pub"]);
        assert_eq!(work.read("pub"), key.public_key().to_pem().as_bytes());
        sign(&work, key_type);
        let signature = Signature::parse(&work.read("sig")).unwrap();
        assert_eq!(key.public_key().verify(b"packing list\n", &signature), Ok(()));
    }
}

#[test]
fn what_openssl_makes_and_barge_does_not_take_is_named() {
    let Some(work) = work(&["openssl"]) else { return };
    for (made_by, said, class) in [
        (&["genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out k"][..], "RSA", Class::Unsupported),
        (&["genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out k"], "RSA-PSS", Class::Unsupported),
        (&["ecparam -name secp384r1 -genkey -noout -out k"], "P-384", Class::Unsupported),
        (&["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out k"], "P-521", Class::Unsupported),
        (&["ecparam -name secp256k1 -genkey -noout -out k"], "secp256k1", Class::Unsupported),
        (&["genpkey -algorithm ED448 -out k"], "Ed448", Class::Unsupported),
        (&["genpkey -algorithm X25519 -out k"], "X25519", Class::Unsupported),
        (
            &[
                "ecparam -name prime256v1 -genkey -noout -param_enc explicit -out s",
                "pkcs8 -topk8 -nocrypt -in s -out k",
            ],
            "a curve without a name",
            Class::Unsupported,
        ),
        (
            &["ecparam -name prime256v1 -genkey -noout -out s", "ec -in s -aes256 -passout pass:secret -out k"],
            "OpenSSL's old headers",
            Class::Unsupported,
        ),
        (
            &[
                "ecparam -name prime256v1 -genkey -noout -out s",
                "pkcs8 -topk8 -v2 des3 -in s -passout pass:secret -out k",
            ],
            "triple DES",
            Class::Unsupported,
        ),
        (
            &[
                "ecparam -name prime256v1 -genkey -noout -out s",
                "pkcs8 -topk8 -v1 PBE-SHA1-3DES -in s -passout pass:secret -out k",
            ],
            "PKCS#12's triple DES",
            Class::Unsupported,
        ),
        (
            &[
                "ecparam -name prime256v1 -genkey -noout -out s",
                "pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA1 -in s -passout pass:secret -out k",
            ],
            "PBKDF2 with SHA-1",
            Class::Unsupported,
        ),
    ] {
        openssl(&work, made_by);
        let error = PrivateKey::from_pem(&work.read("k"), Some(&Password::new("secret"))).unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains(said), "{said}: {error}");
        openssl(&work, &["pkey -in k -passin pass:secret -pubout -out pub"]);
        if !said.contains(' ') {
            let error = PublicKey::from_pem(&work.read("pub")).unwrap_err();
            assert!(error.to_string().contains(said) && error.class() == class, "{said}: {error}");
        }
    }
}
