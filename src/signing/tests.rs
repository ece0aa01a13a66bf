//! Keys of every form, the published vectors, and hostile files.

use proptest::prelude::*;

use super::*;
use crate::error::Class;

/// Made once, apart from barge, after cosign's format: Python's scrypt and Poly1305, and Salsa20 written out.
const FOREIGN_KEY: &str = "-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjozMjc2OCwiciI6
OCwicCI6MX0sInNhbHQiOiJZMGVhMXBvSkN5V0NkK3lQdW0rWlFab3YreVNKZ1ZF
R1Y4bEV6TkVVanBjPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJlRGQ3VWxkWHRKUkNmNGtCVDVmWG1TanprNDBVNjFIaSJ9LCJj
aXBoZXJ0ZXh0IjoiWmEwQW55TUhIL0NXdHJOdmxzZXVLNWlEVEpSeWk3RTJTWnFI
VTAzaWxKYzJFSlE5NVhOSk1zbzJrSktEdjBac1pWeHRQMGtmYXRqZm9Pd2VCb0R0
ZGFIT2R5QmxmdVFEY2xUdThmaEpuNHpTT2hab1EvQ3VkUGFGajJ1dTgyeWdmaWJO
Z3RSc0NyUmNLNWJEcGpKYXgvU25xd1duaEpSR2ZYQlcrNXNLQStvcjVJYmMvTGJP
ejZTbjZLalpnY1VqZGpQVXkxZVlwMENnNkE9PSJ9
-----END ENCRYPTED COSIGN PRIVATE KEY-----
";
const FOREIGN_PASSWORD: &str = "correct horse";
const FOREIGN_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAElOFHfZcf70cWg6FhGe1X2WBdb/O6
+56QfRo4PmiA+J4LIT+iqwS1E0YU5rgza8Qeud2o8u4fh/DZab6boHXHig==
-----END PUBLIC KEY-----
";

/// RFC 8032, section 7.1, test 1, as PKCS#8.
const RFC8032_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----";

const TYPES: [KeyType; 2] = [KeyType::P256, KeyType::Ed25519];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// The same in PEM as the file that it came from would have it.
fn pem_of(label: &str, der: &[u8]) -> String {
    pem::encode(label, der).to_string()
}

#[test]
fn what_is_signed_holds_for_these_bytes_and_this_key_alone() {
    for key_type in TYPES {
        let (key, other) = (PrivateKey::generate(key_type).unwrap(), PrivateKey::generate(key_type).unwrap());
        let (public, others) = (key.public_key(), other.public_key());
        let signature = key.sign(b"packing list").unwrap();
        assert_eq!(public.verify(b"packing list", &signature), Ok(()));
        let mismatch = |public: &PublicKey| Err(SignatureError::Mismatch { key: Box::new(public.fingerprint()) });
        for bytes in [&b"packing lisT"[..], b"packing list\n", b""] {
            assert_eq!(public.verify(bytes, &signature), mismatch(&public), "{key_type}");
        }
        assert_eq!(others.verify(b"packing list", &signature), mismatch(&others), "{key_type}");
        // each bit of a signature counts
        for at in 0..signature.as_bytes().len() * 8 {
            let mut bytes = signature.as_bytes().to_vec();
            bytes[at / 8] ^= 1 << (at % 8);
            assert!(public.verify(b"packing list", &Signature::of(bytes)).is_err(), "{key_type}, bit {at}");
        }
    }
}

#[test]
fn the_same_key_and_bytes_have_the_same_signature() {
    let p256 = PrivateKey::from_pem(FOREIGN_KEY.as_bytes(), Some(&Password::new(FOREIGN_PASSWORD))).unwrap();
    let ed25519 = PrivateKey::from_pem(RFC8032_KEY.as_bytes(), None).unwrap();
    for key in [&p256, &ed25519] {
        assert_eq!(key.sign(b"bytes").unwrap(), key.clone().sign(b"bytes").unwrap());
    }
    // pinned: another number behind it would betray the key
    let pinned = "MEUCIQD9S8dslGRDfI2s6IPgBozcxiswukcrk2wm+ob1Ui7jCwIgLj4ptiPo4CJJ5TpMDlVxM43pZR8fhR1zUJZLh+6S65A=";
    assert_eq!(p256.sign(b"bytes").unwrap().to_text(), pinned);
}

#[test]
fn ed25519_is_that_of_the_rfc() {
    let key = PrivateKey::from_pem(RFC8032_KEY.as_bytes(), None).unwrap();
    let expected = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
    assert_eq!(hex(key.sign(b"").unwrap().as_bytes()), expected);
}

#[test]
fn p256_is_that_of_rfc_6979() {
    // RFC 6979, appendix A.2.5, SHA-256, "sample"
    let secret = unhex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    let sec1 = [&unhex("30310201010420")[..], &secret, &unhex("a00a06082a8648ce3d030107")].concat();
    let key = PrivateKey::from_pem(pem_of("EC PRIVATE KEY", &sec1).as_bytes(), None).unwrap();
    let signature = hex(key.sign(b"sample").unwrap().as_bytes());
    let r = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716";
    let s = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
    assert_eq!(signature, format!("3046022100{r}022100{s}"));
}

#[test]
fn secretbox_is_that_of_nacl() {
    // "Cryptography in NaCl", section 10
    let key = unhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389").try_into().unwrap();
    let nonce = unhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37").try_into().unwrap();
    let message = "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f4\
                   1db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52\
                   f0a089bc76897040e082f937763848645e0705";
    let sealed = "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b\
                  4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da\
                  99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5";
    assert_eq!(hex(&secretbox::seal(&key, &nonce, &unhex(message))), sealed);
    assert_eq!(hex(&secretbox::open(&key, &nonce, &unhex(sealed)).unwrap()), message);
    for at in [0, 15, 16, 146] {
        let mut changed = unhex(sealed);
        changed[at] ^= 1;
        assert_eq!(secretbox::open(&key, &nonce, &changed), None);
    }
    assert_eq!(secretbox::open(&key, &nonce, &[0; 15]), None);
}

#[test]
fn a_foreign_key_in_cosigns_form_is_opened() {
    let sigstore = FOREIGN_KEY.replace("COSIGN", "SIGSTORE");
    for pem in [FOREIGN_KEY, &sigstore] {
        let key = PrivateKey::from_pem(pem.as_bytes(), Some(&Password::new(FOREIGN_PASSWORD))).unwrap();
        assert_eq!(key.public_key().to_pem(), FOREIGN_PUBLIC);
        assert_eq!(key.public_key(), PublicKey::from_pem(FOREIGN_PUBLIC.as_bytes()).unwrap());
        for (password, error) in [
            (None, KeyError::Locked),
            (Some(""), KeyError::WrongPassword),
            (Some("correct horsf"), KeyError::WrongPassword),
        ] {
            let password = password.map(Password::new);
            assert_eq!(PrivateKey::from_pem(pem.as_bytes(), password.as_ref()).unwrap_err(), error);
        }
    }
}

#[test]
fn keys_survive_their_files() {
    for key_type in TYPES {
        let key = PrivateKey::generate(key_type).unwrap();
        let password = Password::new("pass word");
        let [clear, hidden] = [key.to_pem().unwrap().to_string(), key.to_encrypted_pem(&password).unwrap()];
        assert!(clear.starts_with("-----BEGIN PRIVATE KEY-----\n") && clear.ends_with("-----END PRIVATE KEY-----\n"));
        assert!(hidden.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"), "{hidden}");
        assert!(hidden.lines().all(|line| line.len() <= 64));
        assert_ne!(hidden, key.to_encrypted_pem(&password).unwrap(), "salt and nonce are new each time");
        let again = [
            PrivateKey::from_pem(clear.as_bytes(), None).unwrap(),
            PrivateKey::from_pem(clear.as_bytes(), Some(&password)).unwrap(),
            PrivateKey::from_pem(hidden.as_bytes(), Some(&password)).unwrap(),
        ];
        for again in again {
            assert_eq!((again.key_type(), again.public_key()), (key_type, key.public_key()));
            assert_eq!(again.sign(b"x").unwrap(), key.sign(b"x").unwrap());
        }
        let public = key.public_key();
        assert_eq!(PublicKey::from_pem(public.to_pem().as_bytes()).unwrap(), public);
        assert_eq!(public.key_type(), key_type);
    }
}

#[test]
fn files_of_keys_may_look_as_openssl_reads_them() {
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let pem = key.to_pem().unwrap().to_string();
    let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    for text in [
        pem.replace('\n', "\r\n"),
        format!("{parameters}{pem}"),
        format!("Key Attributes: none\n{pem}and more text\n"),
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"),
        format!("  {}", pem.replace('\n', " \n\n ")),
    ] {
        assert_eq!(PrivateKey::from_pem(text.as_bytes(), None).unwrap().public_key(), key.public_key(), "{text}");
    }
}

#[test]
fn what_is_no_key_for_this_is_named() {
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let public = key.public_key().to_pem();
    let private = key.to_pem().unwrap().to_string();
    let hidden = key.to_encrypted_pem(&Password::new("x")).unwrap();
    // the order of the curve's name in PKCS#8 and SPKI is the same: another curve of the same length
    let other_curve = |pem: &str, label: &str| {
        let der = pem::block(pem.as_bytes()).unwrap().der.to_vec();
        let at = der.windows(8).position(|window| window == [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]).unwrap();
        let mut der = der;
        der[at + 7] = 1;
        pem_of(label, &der)
    };
    let rsa = unhex("301c300d06092a864886f70d0101010500030b003008020300c0ff020103");
    let public_cases = [
        (private.clone(), Class::Usage, "it is a private key"),
        (hidden, Class::Usage, "it is a private key"),
        (other_curve(&public, "PUBLIC KEY"), Class::Unsupported, "a key for P-192"),
        (pem_of("PUBLIC KEY", &rsa), Class::Unsupported, "a key for RSA"),
        (pem_of("RSA PUBLIC KEY", b"x"), Class::Unsupported, "a key for RSA"),
        (pem_of("CERTIFICATE", b"x"), Class::Content, "it says \"CERTIFICATE\""),
        (pem_of("\u{1b}[2J", b"x"), Class::Content, "it says \"\\u{1b}[2J\""),
        (pem_of("PUBLIC KEY", b"x"), Class::Content, "damaged"),
        (public.replace("END", "ENT"), Class::Content, "the line \"-----END PUBLIC KEY-----\" is missing"),
        (public.replace("MF", "M-"), Class::Content, "is not base64"),
        (String::new(), Class::Content, "no key in PEM"),
        ("ssh-ed25519 AAAA".to_owned(), Class::Content, "no key in PEM"),
        ("x".repeat(LARGEST_KEY + 1), Class::Content, "more than 65536 bytes"),
    ];
    for (pem, class, said) in public_cases {
        let error = PublicKey::from_pem(pem.as_bytes()).unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
    let old = private.replacen("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1);
    let private_cases = [
        (public, Class::Usage, "it is a public key"),
        (other_curve(&private, "PRIVATE KEY"), Class::Unsupported, "a key for P-192"),
        (pem_of("RSA PRIVATE KEY", b"x"), Class::Unsupported, "a key for RSA"),
        (pem_of("OPENSSH PRIVATE KEY", b"x"), Class::Content, "OPENSSH PRIVATE KEY"),
        (pem_of("EC PRIVATE KEY", b"x"), Class::Content, "damaged"),
        (pem_of("ENCRYPTED PRIVATE KEY", b"x"), Class::Content, "damaged"),
        (pem_of("ENCRYPTED COSIGN PRIVATE KEY", b"x"), Class::Content, "not strict JSON"),
        (old, Class::Unsupported, "old headers"),
    ];
    for (pem, class, said) in private_cases {
        let error = PrivateKey::from_pem(pem.as_bytes(), None).unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
}

/// A key in cosign's form with some of it changed.
fn envelope(from: &str, to: &str) -> String {
    let json = String::from_utf8(pem::block(FOREIGN_KEY.as_bytes()).unwrap().der.to_vec()).unwrap();
    assert!(json.contains(from), "{json}");
    pem_of("ENCRYPTED SIGSTORE PRIVATE KEY", json.replacen(from, to, 1).as_bytes())
}

#[test]
fn a_key_that_asks_for_too_much_is_refused_before_anything_is_spent() {
    let costs = "\"N\":32768,\"r\":8,\"p\":1";
    for (to, class) in [
        ("\"N\":1099511627776,\"r\":8,\"p\":1", Class::Unsupported),
        ("\"N\":9223372036854775807,\"r\":8,\"p\":1", Class::Content),
        ("\"N\":4611686018427387904,\"r\":9223372036854775807,\"p\":1", Class::Unsupported),
        ("\"N\":65536,\"r\":4096,\"p\":1", Class::Unsupported),
        ("\"N\":65536,\"r\":8,\"p\":1000000", Class::Unsupported),
        ("\"N\":2,\"r\":4294967296,\"p\":1", Class::Unsupported),
        ("\"N\":0,\"r\":8,\"p\":1", Class::Content),
        ("\"N\":1,\"r\":8,\"p\":1", Class::Content),
        ("\"N\":32769,\"r\":8,\"p\":1", Class::Content),
        ("\"N\":32768,\"r\":0,\"p\":1", Class::Content),
        ("\"N\":32768,\"r\":8,\"p\":0", Class::Content),
        ("\"N\":-1,\"r\":8,\"p\":1", Class::Content),
        ("\"N\":\"32768\",\"r\":8,\"p\":1", Class::Content),
        ("\"N\":32768,\"r\":8", Class::Content),
    ] {
        // also where there is a password: the check comes first
        for password in [None, Some(Password::new("x"))] {
            let error = PrivateKey::from_pem(envelope(costs, to).as_bytes(), password.as_ref()).unwrap_err();
            assert_eq!(error.class(), class, "{to}: {error}");
        }
    }
}

#[test]
fn what_cosign_would_not_write_is_refused() {
    let password = Password::new(FOREIGN_PASSWORD);
    let salt = "Y0ea1poJCyWCd+yPum+ZQZov+ySJgVEGV8lEzNEUjpc=";
    let nonce = "eDd7UldXtJRCf4kBT5fXmSjzk40U61Hi";
    for (from, to, said) in [
        ("\"scrypt\"", "\"argon2\"", "encrypted with \"argon2\""),
        ("nacl/secretbox", "aes\u{202e}", "encrypted with \"aes\\u{202e}\""),
        (nonce, "eDd7UldXtJRCf4kBT5fX", "its nonce has 15 bytes"),
        (salt, "?", "expected base64"),
        ("\"kdf\"", "\"kdg\"", "key.kdf is absent"),
        ("\"ciphertext\":\"", "\"ciphertext\":\"A", "expected base64"),
    ] {
        let error = PrivateKey::from_pem(envelope(from, to).as_bytes(), Some(&password)).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    let long = envelope(salt, &"A".repeat(4000));
    assert!(PrivateKey::from_pem(long.as_bytes(), None).unwrap_err().to_string().contains("its salt has 3000 bytes"));
}

/// A value in DER of fewer than 256 bytes.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u8::try_from(content.len()).unwrap();
    let head = if length < 128 { vec![tag, length] } else { vec![tag, 0x81, length] };
    [head, content].concat()
}

fn number(value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    // a first bit that is set would make it negative
    let start = bytes.iter().position(|byte| *byte != 0).map_or(7, |at| at - usize::from(bytes[at] > 127 && at > 0));
    der(2, &[&bytes[start..]])
}

/// PKCS#8 with PBES2 over a derivation of keys, AES-256-CBC and 16 bytes of noise.
fn pbes2_with(oid: &str, derivation: &[Vec<u8>]) -> String {
    let derivation: Vec<&[u8]> = derivation.iter().map(Vec::as_slice).collect();
    let derivation = der(0x30, &[&unhex(oid), &der(0x30, &derivation)]);
    let aes = unhex("301d060960864801650304012a041000000000000000000000000000000000");
    let algorithm = der(0x30, &[&unhex("06092a864886f70d01050d"), &der(0x30, &[&derivation, &aes])]);
    pem_of("ENCRYPTED PRIVATE KEY", &der(0x30, &[&algorithm, &der(4, &[&[7; 16]])]))
}

const PBKDF2: &str = "06092a864886f70d01050c";
const SCRYPT: &str = "06092b06010401da47040b";

fn pbkdf2(rounds: u64) -> String {
    let sha256 = unhex("300c06082a864886f70d02090500");
    pbes2_with(PBKDF2, &[der(4, &[b"saltsalt"]), number(rounds), sha256])
}

fn scrypt_with(n: u64, r: u64, p: u64) -> String {
    pbes2_with(SCRYPT, &[der(4, &[b"saltsalt"]), number(n), number(r), number(p)])
}

#[test]
fn openssls_keys_are_bounded_too() {
    let password = Password::new("x");
    for (pem, class, said) in [
        (pbkdf2(2048), Class::Refused, "the password is wrong"),
        (pbkdf2(1 << 24), Class::Unsupported, "16777216 rounds"),
        (pbkdf2(0), Class::Content, "0 rounds"),
        (pbes2_with(PBKDF2, &[der(4, &[b"saltsalt"]), number(2048)]), Class::Unsupported, "SHA-1"),
        (scrypt_with(16, 8, 1), Class::Refused, "the password is wrong"),
        (scrypt_with(1 << 40, 8, 1), Class::Unsupported, "N 1099511627776"),
        // the library would panic
        (scrypt_with(0, 8, 1), Class::Content, "N 0"),
        (scrypt_with(12345, 8, 1), Class::Content, "N 12345"),
        (scrypt_with(16384, 0, 1), Class::Content, "r 0"),
        (scrypt_with(16384, 8, 65535), Class::Unsupported, "p 65535"),
        (pbes2_with("06092a864886f70d010501", &[number(1)]), Class::Unsupported, "the algorithm 1.2.840.113549.1.5.1"),
    ] {
        let error = PrivateKey::from_pem(pem.as_bytes(), Some(&password)).unwrap_err();
        assert_eq!(error.class(), class, "{said}: {error}");
        assert!(error.to_string().contains(said), "{error}");
        // told before anybody is asked
        let unasked = if class == Class::Refused { KeyError::Locked } else { error };
        assert_eq!(PrivateKey::from_pem(pem.as_bytes(), None).unwrap_err(), unasked);
    }
}

#[test]
fn a_weak_public_key_is_none() {
    // the neutral point: anybody can make signatures for it
    let der = [unhex("302a300506032b6570032100"), vec![1], vec![0; 31]].concat();
    let error = PublicKey::from_pem(pem_of("PUBLIC KEY", &der).as_bytes()).unwrap_err();
    assert!(error.to_string().contains("no private key"), "{error}");
}

#[test]
fn signatures_are_read_as_they_come() {
    for key_type in TYPES {
        let signature = PrivateKey::generate(key_type).unwrap().sign(b"x").unwrap();
        let text = signature.to_text();
        assert!(!text.contains(char::is_whitespace));
        let wrapped = format!("{}\r\n{}\n", &text[..64], &text[64..]);
        for file in [text.as_bytes(), format!("{text}\n").as_bytes(), wrapped.as_bytes(), signature.as_bytes()] {
            assert_eq!(Signature::parse(file).unwrap(), signature, "{key_type}");
        }
    }
    for (file, said) in [
        (&b""[..], "empty"),
        (b"\n", "it has 0 bytes"),
        (b"aGVsbG8=", "it has 5 bytes"),
        (b"{\"mediaType\": 1}", "not base64"),
        (&[0xff; 65], "not base64"),
        (&[b'A'; 5000], "more than 4096"),
    ] {
        let error = Signature::parse(file).unwrap_err();
        assert!(error.to_string().contains(said) && error.hint().is_some(), "{error}");
    }
}

#[test]
fn a_signature_of_another_type_of_key_is_told() {
    let [p256, ed25519] = TYPES.map(|key_type| PrivateKey::generate(key_type).unwrap());
    for (key, signed_by) in [(&p256, &ed25519), (&ed25519, &p256)] {
        let error = key.public_key().verify(b"x", &signed_by.sign(b"x").unwrap()).unwrap_err();
        let fingerprint = Box::new(key.public_key().fingerprint());
        assert_eq!(error, SignatureError::Type { key: fingerprint, expected: key.key_type() });
        assert_eq!(error.class(), Class::Content);
    }
}

#[test]
fn nothing_that_is_printed_tells_a_secret() {
    let key = PrivateKey::from_pem(RFC8032_KEY.as_bytes(), None).unwrap();
    let printed = format!("{key:?} {:?} {:?}", Password::new("hunter2"), key.to_pem().map(drop));
    assert!(printed.contains("Ed25519") && printed.contains("sha256:") && printed.contains("..."), "{printed}");
    // the first bytes of the key in hex, as numbers, in base64
    for secret in ["9d61", "157, 97", "nWGxn", "hunter"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

/// Whatever is done to a file, the answer is an answer.
fn survives(file: &[u8]) {
    let password = Password::new("x");
    let _ = PublicKey::from_pem(file);
    let _ = PrivateKey::from_pem(file, None);
    let _ = Signature::parse(file);
    // scrypt takes a tenth of a second: only what is not encrypted, or is encrypted cheaply
    if !file.windows(6).any(|window| window == b"SIGSTO" || window == b"COSIGN") {
        let _ = PrivateKey::from_pem(file, Some(&password));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, label in prop::sample::select(vec![
        "PRIVATE KEY", "PUBLIC KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY",
    ])) {
        survives(&bytes);
        survives(pem_of(label, &bytes).as_bytes());
    }

    #[test]
    fn no_change_of_a_key_makes_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
                                         cut: Option<prop::sample::Index>, which in 0..5usize) {
        let sources = [
            ("PUBLIC KEY", FOREIGN_PUBLIC.to_owned()),
            ("PRIVATE KEY", RFC8032_KEY.to_owned()),
            ("ENCRYPTED SIGSTORE PRIVATE KEY", FOREIGN_KEY.to_owned()),
            ("ENCRYPTED PRIVATE KEY", scrypt_with(16, 8, 1)),
            ("EC PRIVATE KEY", pem_of("EC PRIVATE KEY", &[&unhex("30310201010420")[..], &[7; 32], &unhex("a00a06082a8648ce3d030107")].concat())),
        ];
        let (label, pem) = &sources[which];
        let mut der = pem::block(pem.as_bytes()).unwrap().der.to_vec();
        for (at, byte) in &changes {
            let at = at.index(der.len());
            der[at] = *byte;
        }
        if let Some(cut) = cut {
            der.truncate(cut.index(der.len()));
        }
        survives(pem_of(label, &der).as_bytes());
        let mut text = pem.clone().into_bytes();
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        survives(&text);
    }

    #[test]
    fn base64_in_any_lines_is_one_signature(at in 0..96usize) {
        let key = PrivateKey::from_pem(RFC8032_KEY.as_bytes(), None).unwrap();
        let signature = key.sign(b"x").unwrap();
        let mut text = signature.to_text();
        text.insert(at.min(text.len()), '\n');
        prop_assert_eq!(Signature::parse(text.as_bytes()), Ok(signature));
    }
}
