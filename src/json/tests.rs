//! What is read, and what is refused.

use serde_json::value::RawValue;

use super::*;

#[test]
fn a_number_is_written_as_the_one_that_was_read() {
    for text in ["9.925474099399257e+21", "0.1", "123456789.12345679", "1e-7", "18446744073709551615", "-0.0"] {
        let value = parse(text.as_bytes()).unwrap();
        assert_eq!(parse(&encode(&value)).unwrap(), value, "{text}");
    }
}

#[test]
fn what_would_fill_the_memory_is_refused() {
    let list = |count: usize| format!("[{}0]", "0,".repeat(count - 1)).into_bytes();
    assert!(parse(&list(MOST_VALUES - 1)).is_ok());
    assert_eq!(parse(&list(MOST_VALUES)), Err(JsonError::Long));
    let nested = format!("{{\"a\":{0},\"b\":{0}}}", String::from_utf8(list(MOST_VALUES / 2)).unwrap());
    assert_eq!(parse(nested.as_bytes()), Err(JsonError::Long));
}

#[test]
fn long_lists_are_handed_out_item_by_item() {
    let read = |text: &str| {
        let mut heard = Vec::new();
        let mut hear = |list: usize, item: &View<'_>| heard.push(format!("{list} {}", item.wrong("x")));
        let rest = parse_lists(text.as_bytes(), "top", &["long", "other"], &mut hear)?;
        Ok::<_, JsonError>((heard.join("; "), rest.to_string()))
    };
    let (heard, rest) = read(r#"{"a":1,"long":[true,[2]],"b":{"long":[3]},"other":[null]}"#).unwrap();
    let expected =
        "0 top.long[0] is true, expected x; 0 top.long[1] is a list, expected x; 1 top.other[0] is null, expected x";
    assert_eq!(heard, expected);
    assert_eq!(rest, r#"{"a":1,"long":[],"b":{"long":[3]},"other":[]}"#);
    for other in [r#"{"long":null}"#, r#"{"long":{"x":[1]}}"#, "[1]", "1", r#""x""#] {
        assert_eq!(read(other).unwrap(), (String::new(), other.to_owned()), "{other}");
    }
    for (wrong, complaint) in [
        (r#"{"long":[1],"long":[2]}"#, "twice"),
        (r#"{"long":[1],"Long":[2]}"#, "but for upper and lower case"),
        (r#"{"long":[{"a":1,"A":2}]}"#, "but for upper and lower case"),
        (r#"{"long":[1]} 2"#, "trailing"),
        (r#"{"long":[1"#, "EOF"),
    ] {
        assert!(read(wrong).unwrap_err().to_string().contains(complaint), "{wrong}");
    }
    // the items do not add up, the rest does
    let many = format!("[{}0]", "0,".repeat(MOST_VALUES));
    assert!(parse_lists(format!(r#"{{"long":{many}}}"#).as_bytes(), "top", &["long"], &mut |_, _| ()).is_ok());
    for wrong in [format!(r#"{{"long":[],"x":{many}}}"#), format!(r#"{{"long":[{many}]}}"#)] {
        assert_eq!(parse_lists(wrong.as_bytes(), "top", &["long"], &mut |_, _| ()), Err(JsonError::Long));
    }
    let endless = format!(r#"{{"long":[{}0]}}"#, "0,".repeat(MOST_ITEMS));
    assert_eq!(parse_lists(endless.as_bytes(), "top", &["long"], &mut |_, _| ()), Err(JsonError::Long));
}

#[test]
fn a_document_that_is_a_long_list_is_handed_out_item_by_item() {
    let read = |text: &str| {
        let mut heard = Vec::new();
        let rest = parse_items(text.as_bytes(), "top", &mut |item| heard.push(item.wrong("x").to_string()))?;
        Ok::<_, JsonError>((heard.join("; "), rest.to_string()))
    };
    let expected = "top[0] is true, expected x; top[1] is a list, expected x";
    assert_eq!(read("[true,[2]]").unwrap(), (expected.to_owned(), "[]".to_owned()));
    for other in ["null", r#"{"x":[1]}"#, "1", r#""x""#] {
        assert_eq!(read(other).unwrap(), (String::new(), other.to_owned()), "{other}");
    }
    assert!(read(r#"[{"a":1,"A":2}]"#).unwrap_err().to_string().contains("but for upper and lower case"));
    assert!(read("[1] 2").unwrap_err().to_string().contains("trailing"));
    let many = |count: usize| format!("[{}0]", "0,".repeat(count));
    assert!(parse_items(many(MOST_VALUES).as_bytes(), "top", &mut |_| ()).is_ok());
    for endless in [many(MOST_ITEMS), format!("[{}]", many(MOST_VALUES))] {
        assert_eq!(parse_items(endless.as_bytes(), "top", &mut |_| ()), Err(JsonError::Long));
    }
}

#[test]
fn what_parsers_disagree_on_is_refused() {
    for (text, complaint) in [
        (&b""[..], "empty"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"{\"a\":\"\xff\"}", "byte 7 is not UTF-8"),
        (b"{\"a\":1,\"a\":2}", "the key \"a\" stands there twice"),
        (b"{\"digest\":1,\"Digest\":2}", "but for upper and lower case"),
        (b"{\"x\":[{\"a\":{},\"A\":{}}]}", "but for upper and lower case"),
        (b"{\"annotations\":{\"a\":\"1\",\"a\":\"2\"}}", "twice"),
        (b"{} {}", "trailing"),
        (b"{}\0", "trailing"),
        (b"{\"a\":\"\\ud800\"}", "hex escape"),
        (b"{\"a\":01}", "invalid number"),
        (b"{'a':1}", "key must be a string"),
        (b"{\"a\":NaN}", "expected value"),
        (b"\x1b[2J", "expected value"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(complaint), "{:?}: {error}", String::from_utf8_lossy(text));
    }
    let deep = "[".repeat(5000);
    assert!(parse(deep.as_bytes()).unwrap_err().to_string().contains("recursion limit"));
}

#[test]
fn a_name_stands_once_however_many_there_are() {
    // one by one, and in a set from so many on
    for number in [1, 2, 15, 16, 17, 40] {
        let others: String = (1..number).map(|at| format!("\"f{at}\":{{}},")).collect();
        let of = |outer: &str, first: &str, last: &str| {
            parse(format!(r#"{{"{outer}":{{"{first}":1,{others}"{last}":2}}}}"#).as_bytes())
        };
        of("x", "first", "last").unwrap();
        for (outer, first, last, is_taken) in [
            ("x", "a", "a", false),
            ("x", "a", "A", false),
            ("labels", "a", "A", true),
            ("labels", "a", "a", false),
            // a letter that is not ASCII and whose lower case is
            ("x", "k", "\u{212a}", false),
            ("x", "\u{e4}", "\u{c4}", false),
            ("x", "\u{e4}", "a", true),
        ] {
            assert_eq!(of(outer, first, last).is_ok(), is_taken, "{number} in {outer}: {first} and {last}");
        }
    }
}

#[test]
fn labels_may_differ_only_in_case() {
    parse(br#"{"config":{"Labels":{"a":"1","A":"2"}},"annotations":{"x":"","X":""}}"#).unwrap();
}

#[test]
fn the_same_content_has_the_same_bytes() {
    let one = parse(br#"{"b":[{"z":1,"y":2}], "a":"x"}"#).unwrap();
    let two = parse(br#"{"a":"x","b":[{"y":2,"z":1}]}"#).unwrap();
    assert_eq!(encode(&one), encode(&two));
    assert_eq!(encode(&one), br#"{"a":"x","b":[{"y":2,"z":1}]}"#);
}

#[test]
fn an_edit_leaves_every_other_byte() {
    let text = br#"{"z":1e400000000000, "manifests":[{"a":  1.0},{"b":2}],"odd":"\u0041","annotations":{"k":"v"}}"#;
    // a number that no parser holds is not strict JSON, so the strict reader complains; the raw one keeps it
    assert!(Object::parse(text).is_err());
    let mut object = Object::from_raw(std::str::from_utf8(text).unwrap()).unwrap();
    let mut items = object.items("manifests");
    items.remove(1);
    object.set_items("manifests", &items);
    object.set("new", RawValue::from_string("null".to_owned()).unwrap());
    object.remove("annotations");
    assert_eq!(object.to_raw().get(), r#"{"z":1e400000000000,"manifests":[{"a":  1.0}],"odd":"\u0041","new":null}"#);
}

#[test]
fn what_is_said_as_before_keeps_its_bytes() {
    let before = r#"{ "z": {"b": 1.50, "a": [ 1,2 ]}, "list":[{"x":"\u0041"}, {"y":2 }],"n":18446744073709551616 }"#;
    let value = parse(before.as_bytes()).unwrap();
    assert_eq!(edited(before.as_bytes(), &value).unwrap(), before.as_bytes(), "white space and all");
    for (path, new, expected) in [
        ("/z/a/1", "3", before.replace("[ 1,2 ]", "[1,3]")),
        ("/z/a", "[2]", before.replace("[ 1,2 ]", "[2]")),
        ("/list/1/y", "{\"q\":1,\"p\":2}", before.replace("{\"y\":2 }", "{\"y\":{\"p\":2,\"q\":1}}")),
        ("/list", "[{\"w\":0},{\"x\":\"A\"},{\"y\":2}]", before.replace("\"list\":[", "\"list\":[{\"w\":0},")),
        ("/z", "null", before.replace("{\"b\": 1.50, \"a\": [ 1,2 ]}", "null")),
    ] {
        let mut to = value.clone();
        *to.pointer_mut(path).unwrap() = parse(new.as_bytes()).unwrap();
        let after = String::from_utf8(edited(before.as_bytes(), &to).unwrap()).unwrap();
        assert_eq!(parse(after.as_bytes()).unwrap(), to, "{path}");
        let plain = |text: &str| text.replace(' ', "");
        assert_eq!(plain(&after), plain(&expected), "{path}");
    }
    let mut to = value.clone();
    to.as_object_mut().unwrap().shift_remove("z");
    to["new"] = Value::Null;
    let after = String::from_utf8(edited(before.as_bytes(), &to).unwrap()).unwrap();
    assert!(after.starts_with("{\"list\":[{\"x\":\"\\u0041\"}, {"), "{after}");
    assert!(after.ends_with("\"n\":18446744073709551616,\"new\":null}"), "{after}");
}

#[test]
fn a_complaint_says_where() {
    let value =
        parse(br#"{"manifests":[{"size":-1},{"size":"5"},{"size":1.5},{"size":9223372036854775808}]}"#).unwrap();
    let list = View::top(&value, "index").list_at("manifests").unwrap();
    let complaint = |at: usize| list[at].need("size", "").unwrap().count().unwrap_err().to_string();
    assert_eq!(complaint(0), "index.manifests[0].size is -1, expected a whole number from 0 to 2^63 - 1");
    assert!(complaint(1).contains("is \"5\""));
    assert!(complaint(2).contains("is 1.5"));
    assert!(complaint(3).contains("is 9223372036854775808"));
    let mut said = Vec::new();
    let text = br#"{"long":[{"a":[{},{"b":1}]}]}"#;
    parse_lists(text, "index", &["long"], &mut |_, item| {
        let inner = &item.list_at("a").unwrap()[1];
        said.extend([inner.get("b").unwrap().unwrap().wrong("x"), inner.need("c", "y").unwrap_err()]);
    })
    .unwrap();
    let said: Vec<_> = said.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["index.long[0].a[1].b is 1, expected x", "index.long[0].a[1].c is absent, expected y"]);
}
