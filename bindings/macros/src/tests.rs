//! What the macro says to mistakes. What it generates is tested where it is used, in `afield::typed`.

use super::implement;
use proc_macro2::TokenStream;
use quote::quote;

/// The messages of the errors that a model gives; none when it is right.
fn messages(arguments: TokenStream, item: TokenStream) -> Vec<String> {
    let mut item = syn::parse2(item).unwrap();
    match implement(arguments, &mut item) {
        Ok(_) => Vec::new(),
        Err(error) => error.into_iter().map(|error| error.to_string()).collect(),
    }
}

/// Asserts that `wrong` is refused with `message`, and that `right`, which differs in that alone, is taken.
fn refuses(message: &str, wrong: TokenStream, right: TokenStream) {
    let found = messages(TokenStream::new(), wrong);
    assert!(matches!(found.as_slice(), [found] if found.contains(message)), "{found:?} does not say {message}");
    assert_eq!(messages(TokenStream::new(), right), Vec::<String>::new());
}

#[test]
fn options_that_do_not_exist_are_refused_with_those_that_do() {
    refuses(
        "unknown option of a field: write `rename",
        quote!(
            struct Note {
                #[model(ident)]
                id: u8,
            }
        ),
        quote!(
            struct Note {
                #[model(key)]
                id: u8,
            }
        ),
    );
    refuses(
        "unknown option of a variant",
        quote!(
            enum State {
                #[model(key)]
                Open,
            }
        ),
        quote!(
            enum State {
                #[model(other)]
                Open,
            }
        ),
    );
    let note = quote!(
        struct Note {
            id: u8,
        }
    );
    assert!(messages(quote!(rename = "x"), note.clone())[0].contains("only `rename_all"));
    assert!(messages(quote!(rename_all = "Camel"), note.clone())[0].contains("write one of camelCase"));
    assert!(messages(quote!(rename_all = "camelCase"), note).is_empty());
}

#[test]
fn contradictions_are_refused() {
    refuses(
        "either required or has one default",
        quote!(
            struct Note {
                #[model(required, default = "zero")]
                id: u8,
            }
        ),
        quote!(
            struct Note {
                #[model(required)]
                id: u8,
            }
        ),
    );
    refuses(
        "one key",
        quote!(
            struct Note {
                #[model(key)]
                id: u8,
                #[model(key)]
                name: u8,
            }
        ),
        quote!(
            struct Note {
                #[model(key)]
                id: u8,
                name: u8,
            }
        ),
    );
    refuses(
        "two fields are named \"id\"",
        quote!(
            struct Note {
                id: u8,
                #[model(rename = "id")]
                name: u8,
            }
        ),
        quote!(
            struct Note {
                id: u8,
                #[model(rename = "id2")]
                name: u8,
            }
        ),
    );
    refuses(
        "two variants are named \"Open\"",
        quote!(
            enum State {
                Open,
                #[model(rename = "Open")]
                Closed,
            }
        ),
        quote!(
            enum State {
                Open,
                #[model(rename = "open")]
                Closed,
            }
        ),
    );
    refuses(
        "mark one only",
        quote!(
            enum State {
                #[model(other)]
                Open,
                #[model(other)]
                Closed,
            }
        ),
        quote!(
            enum State {
                #[model(other)]
                Open,
                Closed,
            }
        ),
    );
}

#[test]
fn options_without_a_meaning_where_they_stand_are_refused() {
    refuses(
        "at least one character",
        quote!(
            struct Note {
                #[model(rename = "")]
                id: u8,
            }
        ),
        quote!(
            struct Note {
                #[model(rename = "i")]
                id: u8,
            }
        ),
    );
    refuses(
        "without it an absent field is already Default::default()",
        quote!(
            struct Note {
                #[model(default)]
                id: u8,
            }
        ),
        quote!(
            struct Note {
                id: u8,
            }
        ),
    );
    refuses(
        "no name in the document",
        quote!(
            struct Pair(#[model(rename = "a")] u8, u8);
        ),
        quote!(
            struct Pair(#[model(required)] u8, u8);
        ),
    );
    refuses(
        "a key needs a named field",
        quote!(
            struct Pair(#[model(key)] u8, u8);
        ),
        quote!(
            struct Pair {
                #[model(key)]
                a: u8,
                b: u8,
            }
        ),
    );
    refuses(
        "leave `key` out",
        quote!(
            struct Name(#[model(key)] String);
        ),
        quote!(
            struct Name(String);
        ),
    );
    refuses(
        "is its inner value",
        quote!(
            struct Name(#[model(required)] String);
        ),
        quote!(
            struct Name(String);
        ),
    );
    refuses(
        "holds no data",
        quote!(
            enum State {
                #[model(other)]
                Open(u8),
            }
        ),
        quote!(
            enum State {
                #[model(other)]
                Open,
            }
        ),
    );
}

#[test]
fn items_that_cannot_be_models_are_refused() {
    refuses(
        "a struct or an enum",
        quote!(union Both { a: u8, b: u8 }),
        quote!(
            struct Both {
                a: u8,
                b: u8,
            }
        ),
    );
    refuses(
        "write `struct Marker {}`",
        quote!(
            struct Marker;
        ),
        quote!(
            struct Marker {}
        ),
    );
    refuses(
        "without variants",
        quote!(
            enum Never {}
        ),
        quote!(
            enum Once {
                Once,
            }
        ),
    );
    refuses(
        "owns its data",
        quote!(
            struct Note<'a> {
                id: &'a str,
            }
        ),
        quote!(
            struct Note<T> {
                id: T,
            }
        ),
    );
}

#[test]
fn every_mistake_is_shown_at_once_and_no_attribute_is_left() {
    let item = quote!(
        struct Note {
            #[model(wrong)]
            id: u8,
            #[model(rename = "")]
            #[serde(default)]
            name: u8,
        }
    );
    assert_eq!(messages(TokenStream::new(), item.clone()).len(), 2);
    let mut item = syn::parse2(item).unwrap();
    assert!(implement(TokenStream::new(), &mut item).is_err());
    let left = quote!(#item).to_string();
    assert!(!left.contains("model") && left.contains("serde"), "{left}");
}
