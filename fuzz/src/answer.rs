//! What somebody typed at the prompt, with the codes in it.

use totp_core::answer::{Answer, MOST_CODES, Sequence, work};
use totp_core::combined::{has_code, password_before, password_by_form};
use totp_core::onetime::OneTimeCode;
use totp_core::otp::Digits;

/// The shape is told by a second, simpler reading; codes are the same with spaces and hyphens in between; a code that is good
/// once reads back as it is shown; nothing typed is shown by `Debug`.
pub fn check(data: &[u8]) {
    let answer = Answer::read(data);
    let digits = digits_alone(data);
    match &answer {
        Answer::Help => assert_eq!(data.len(), 1),
        Answer::Word(_) => assert_eq!(data.len(), 3),
        Answer::Code { code, length } => {
            assert_eq!(*length, data.len());
            let shown = code.shown();
            assert!(shown.len() == 19 && shown.is_ascii());
            let again = OneTimeCode::read(shown.as_bytes()).expect("as it is shown");
            assert_eq!(again.hash(), code.hash());
            assert!(!format!("{answer:?}").contains(shown.as_str()));
        }
        Answer::Codes(_) => {
            let digits = digits.as_deref().expect("digits, spaces and hyphens");
            are_the_codes(&answer, digits);
            let spaced: String = digits.chars().flat_map(|digit| [digit, ' ']).collect();
            let hyphened: String = digits.chars().flat_map(|digit| ['-', digit]).collect();
            for other in [spaced, hyphened] {
                if other.len() > 3 {
                    are_the_codes(&Answer::read(other.as_bytes()), digits);
                }
            }
            let shown = format!("{answer:?}");
            assert!(digits.len() < 4 || !shown.contains(digits), "{shown}");
        }
        Answer::Combined(_) => panic!("no answer to a prompt for a code is read so"),
        Answer::Junk { length } => {
            assert_eq!(*length, data.len());
            assert!(digits.is_none() || data.len() == 1 || data.len() == 3, "{data:?}");
        }
    }
    assert_eq!(answer.is_code(), matches!(answer, Answer::Codes(_) | Answer::Code { .. }));
    assert!(answer.work() <= MOST_CODES);
    let junk = Answer::read(&vec![b'\x08'; data.len()]);
    if !matches!(answer, Answer::Help | Answer::Word(_)) {
        assert_eq!(answer.work(), junk.work(), "sshd's junk of this length costs as much");
    }
    combined(data);
}

/// The same text as a password with a code behind it: what is in front of a code of whatever length is the beginning of it.
fn combined(data: &[u8]) {
    let answer = Answer::read_combined(data);
    let junk = Answer::read_combined(&vec![b'\x08'; data.len()]);
    assert_eq!(answer.work(), junk.work(), "sshd's junk of this length costs as much");
    for digits in Digits::ALL {
        assert!(Sequence::of(&[Answer::read_combined(data)], digits).len() <= answer.work());
    }
    for characters in [6, 8, 12, 16, 24] {
        assert!(data.starts_with(password_before(data, characters)));
    }
    assert!(data.starts_with(password_by_form(data, 6)));
    let _ = has_code(data);
}

/// 1 to 24 digits, and nothing besides but spaces and hyphens.
fn digits_alone(typed: &[u8]) -> Option<String> {
    let typed = typed.trim_ascii();
    let rest: Vec<u8> = typed.iter().copied().filter(|b| !matches!(b, b' ' | b'-')).collect();
    let digits = rest.iter().all(u8::is_ascii_digit) && (1..=24).contains(&rest.len());
    digits.then(|| String::from_utf8(rest).unwrap())
}

fn are_the_codes(answer: &Answer, digits: &str) {
    let Answer::Codes(_) = answer else {
        panic!("{digits:?} with something in between: {answer:?}")
    };
    let answers = std::slice::from_ref(answer);
    let mut most = 0;
    for each in Digits::ALL {
        let length = usize::from(each.count());
        let whole = digits.len().is_multiple_of(length);
        let expected: Vec<u32> = digits
            .as_bytes()
            .chunks(length)
            .filter(|_| whole)
            .map(|code| str::from_utf8(code).unwrap().parse().unwrap())
            .collect();
        let last = &expected[expected.len().saturating_sub(MOST_CODES)..];
        let sequence = Sequence::of(answers, each);
        assert_eq!(sequence.last(last.len()), Some(last));
        assert_eq!(sequence.last(last.len() + 1), None);
        most = most.max(last.len());
    }
    assert!(work(answers) >= most, "computed for fewer codes than were typed");
}
