//! What the macro says to mistakes. What it generates is tested where it is used, in `afield::typed`.

use super::{hand_over::hand_over, implement};
use proc_macro2::TokenStream;
use quote::quote;

/// The messages of the errors that a model gives; none when it is right.
fn messages(arguments: TokenStream, item: TokenStream) -> Vec<String> {
    let (item, mistakes) = hand_over(arguments, syn::parse2(item).unwrap());
    let input = match syn::parse2(item) {
        Ok(input) if mistakes.is_ok() => input,
        _ => return mistakes.err().into_iter().flatten().map(|error| error.to_string()).collect(),
    };
    match implement(&input) {
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
        "unknown option `ident` of a field: write `rename",
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
        "unknown option `key` of a variant: write `rename = \"…\"` or `other`",
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
    assert!(
        messages(quote!(rename = "x"), note.clone())[0]
            .contains("unknown option `rename` of a model: write `rename_all")
    );
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
fn a_skipped_field_has_no_other_options_than_its_default() {
    let right = quote!(
        struct Note {
            #[model(skip, default = "nine")]
            id: u8,
        }
    );
    for other in [quote!(key), quote!(rename = "x"), quote!(with = "module")] {
        let wrong = quote!(
            struct Note {
                #[model(skip, #other)]
                id: u8,
            }
        );
        refuses("beside `skip` only `default` has a meaning", wrong, right.clone());
    }
    let wrong = quote!(
        struct Note {
            #[model(skip, required)]
            id: u8,
        }
    );
    refuses("either skipped or required", wrong, right);
    refuses(
        "name the fields",
        quote!(
            struct Pair(u8, #[model(skip)] u8);
        ),
        quote!(
            struct Pair(u8, u8);
        ),
    );
}

#[test]
fn the_library_is_looked_for_where_the_model_says_and_nowhere_else() {
    let note = quote!(
        struct Note {
            id: u8,
        }
    );
    let expansion = |arguments: TokenStream| {
        let (item, mistakes) = hand_over(arguments, syn::parse2(note.clone()).unwrap());
        mistakes.unwrap();
        let code = implement(&syn::parse2(item.clone()).unwrap()).unwrap();
        format!("{item} {code}")
    };
    assert_eq!(expansion(quote!()).matches(":: afield :: typed").count(), 2);
    let renamed = expansion(quote!(crate = "other::path"));
    assert_eq!(renamed.matches("other :: path :: typed :: support").count(), 2);
    assert!(!renamed.contains("afield ::"), "{renamed}");
    assert!(messages(quote!(crate = "a b"), note)[0].contains("expected"));
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
fn every_mistake_is_shown_at_once() {
    let item = quote!(
        struct Note {
            #[model(wrong)]
            id: u8,
            #[model(rename = "")]
            #[serde(default)]
            name: u8,
        }
    );
    assert_eq!(messages(TokenStream::new(), item).len(), 2);
}
