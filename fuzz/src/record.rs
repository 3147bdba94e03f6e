//! A record file: `users/NAME.toml`.

use totp_core::record::{Entry, MOST_AUTHENTICATORS, RecordError, parse, parse_as, print};
use totp_core::time::Step;

/// What is read is printed and read again as the same; an unknown key is refused; an error shows no secret.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let entry = match parse(text) {
        Ok(entry) => entry,
        Err(error) => return shows_nothing(text, &error),
    };
    let printed = print(&entry).expect("what was read can be printed");
    let again = parse(&printed).expect("what was printed can be read");
    assert_eq!(again.decision(), entry.decision());
    assert_eq!(again.enrollment(), entry.enrollment());
    assert_eq!(again.version(), entry.version());
    assert_eq!(*print(&again).unwrap(), *printed);
    let owner = entry.decision().user.clone();
    let by_name = parse_as(text, |name| *name == owner).expect("the same file by its owner's name");
    assert_eq!(by_name.decision(), entry.decision());
    assert!(parse(&format!("noise = 1\n{text}")).is_err(), "an unknown key");
    assert!(parse(&printed.replacen("version = 1", "version = 2", 1)).is_err(), "a later version");
    if let Entry::Enrolled(record) = &entry {
        let all = &record.authenticators;
        assert!((1..=MOST_AUTHENTICATORS).contains(&all.len()));
        for (at, one) in all.iter().enumerate() {
            let totp = one.kind.totp();
            let code = totp.code_text(Step(1));
            assert_eq!(code.len(), usize::from(totp.digits.count()));
            let others = || all.iter().skip(at + 1);
            assert!(!others().any(|other| other.name == one.name), "two of one name");
            let same = |secret| totp.secret.same_as(secret);
            assert!(!others().any(|other| same(&other.kind.totp().secret)), "one secret twice");
        }
        assert!(parse(&printed.replacen("\"enrolled\"", "\"disabled\"", 1)).is_err());
    }
}

/// An error goes to the log: nothing that could be a secret is repeated.
fn shows_nothing(text: &str, error: &RecordError) {
    let said = error.to_string();
    let letters = |c: char| c.is_ascii_uppercase() || ('2'..='7').contains(&c);
    for run in text.split(|c| !letters(c)).filter(|run| run.len() >= 16) {
        assert!(!said.contains(run), "{said:?} repeats {run:?}");
    }
}
