//! The registry of sources: unknown names and settings, and what every source promises.

use super::*;

fn args(path: Option<&str>, settings: &[(&str, &str)]) -> DatasetArgs {
    DatasetArgs {
        path: path.map(str::to_owned),
        settings: settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

#[test]
fn unknown_sources_and_settings_are_explained() {
    let cases = [
        ("mnits", args(Some("x"), &[]), "no data set is called `mnits`", "did you mean `mnist`?"),
        ("imagenet", args(None, &[]), "no data set is called `imagenet`", "digits, mnist, fashion_mnist"),
        ("idx", args(None, &[("image", "x")]), "no setting `image`", "did you mean `images`?"),
        ("npz", args(Some("x"), &[("zzz", "1")]), "no setting `zzz`", "its settings are full_scale"),
        ("mnist", args(Some("x"), &[("zzz", "1")]), "no setting `zzz`", "it has no settings"),
    ];
    for (name, args, message, help) in cases {
        let error = open(name, &args, Path::new("."), None).unwrap_err();
        assert!(error.message().contains(message), "{error}");
        assert!(error.help().is_some_and(|text| text.contains(help)), "{error}");
    }
    let error = open("digits", &args(Some("here"), &[]), Path::new("."), None).unwrap_err();
    assert!(error.message().contains("takes no path"), "{error}");
}

#[test]
fn every_source_that_takes_a_path_asks_for_it_or_names_it() {
    for source in SOURCES.iter().filter(|source| source.takes_path && source.name != "shd") {
        let error = open(source.name, &args(None, &[]), Path::new("."), None).unwrap_err();
        assert!(error.message().contains("needs a path"), "{}: {error}", source.name);
        let error = open(source.name, &args(Some("no/such/place"), &[]), Path::new("/base"), None).unwrap_err();
        assert!(error.message().contains("/base/no/such/place"), "{}: {error}", source.name);
        assert!(error.help().is_some_and(|help| help.contains("--data DIR")), "{}: {error}", source.name);
    }
}

#[test]
fn shd_says_what_to_do_meanwhile() {
    let error = open("shd", &args(Some("data/shd"), &[]), Path::new("."), None).unwrap_err();
    assert!(error.help().is_some_and(|help| help.contains("npz(")), "{error}");
}
