//! Every path, as a script of what is done and what comes of it.

use alloc::vec::Vec;

use super::*;
use crate::name::AuthenticatorName;
use crate::otp::{Algorithm, Digits};
use crate::secret::Secret;
use crate::time::Period;

const NOW: UnixTime = UnixTime(1_763_000_010);

const SETTINGS: Settings =
    Settings { window: 1, codes: Codes::Several, display: Display::Private, enroll_in: Vec::new() };

/// What becomes of the steps that somebody else does.
struct World {
    answers: VecDeque<Option<&'static str>>,
    offered: Result<(), Failed>,
    installed: Result<(), Failed>,
    /// Whether recovery codes can be made.
    made: bool,
    kept: bool,
    remembered: bool,
}

impl World {
    /// Where everything works, and nobody answers beyond these.
    fn answering(answers: &[&'static str]) -> Self {
        Self {
            answers: answers.iter().map(|answer| Some(*answer)).collect(),
            offered: Ok(()),
            installed: Ok(()),
            made: true,
            kept: true,
            remembered: true,
        }
    }

    /// Everything that happens, a word each, and the end.
    fn run(mut self, passed: Passed, settings: Settings) -> (Vec<String>, End) {
        let mut account = Account::new(passed, settings);
        let mut seen = Vec::new();
        loop {
            seen.push(match account.next(NOW) {
                Next::Ask(question) => {
                    self.answer(&mut account);
                    head(&question).into()
                }
                Next::AskWithKey { ascii, question } => {
                    self.answer(&mut account);
                    let drawn = if ascii { "ascii" } else { "show" };
                    format!("{drawn}, {}", head(&question))
                }
                Next::AskWithCodes if self.made => {
                    self.answer(&mut account);
                    "codes".into()
                }
                Next::AskWithCodes => {
                    account.kept(false);
                    "no codes".into()
                }
                Next::AskWithNextCode => {
                    self.answer(&mut account);
                    "next code".into()
                }
                Next::Tell(text) => text,
                Next::Explain(_) => "explain".into(),
                Next::Log(remark) => format!("{remark:?}"),
                Next::Offer => {
                    let totp = totp();
                    account.offered(self.offered.map(|()| &totp));
                    "offer".into()
                }
                Next::Install(_) => {
                    account.installed(self.installed);
                    "install".into()
                }
                Next::KeepCodes => {
                    account.kept(self.kept);
                    "keep".into()
                }
                Next::Remember => {
                    account.remembered(self.remembered);
                    "remember".into()
                }
                Next::GiveUseBack => "give back".into(),
                Next::Notices => "notices".into(),
                Next::Done(end) => return (seen, end),
            });
            assert!(seen.len() < 50, "{seen:?}");
        }
    }

    fn answer(&mut self, account: &mut Account) {
        let right = totp().code_text(totp().step(NOW));
        let answer = self.answers.pop_front().flatten();
        let answer = answer.map(|text| if text == "right" { right.as_str() } else { text });
        account.reply(answer.map(str::as_bytes), NOW);
    }
}

fn head(question: &str) -> &str {
    question.split_inclusive(['.', '?', ':', ';', '(']).next().unwrap()
}

fn totp() -> Totp {
    Totp {
        secret: Secret::fresh(&[3; Secret::FRESH]),
        algorithm: Algorithm::Sha1,
        digits: Digits::Six,
        period: Period::DEFAULT,
    }
}

fn code(by: By) -> Passed {
    Passed::Code { by, wants_new: false, next_due: false, remember: None }
}

fn phone() -> By {
    let authenticator = AuthenticatorName::new("phone").unwrap();
    By::Totp { authenticator, drift: 0, codes: 1, off: None }
}

const BEGIN: &str = "Two-factor login has to be set up.";
const CONFIRM: &str = "show, Code in the app (";
const DONE: &str = "Two-factor login is set up; the clocks agree.";
const NOTHING: &str = "Not set up, nothing has changed. Delete what you have scanned from the app.";

fn run(passed: Passed, answers: &[&'static str]) -> (Vec<String>, End) {
    World::answering(answers).run(passed, SETTINGS)
}

#[test]
fn an_open_enrollment_is_completed_codes_noted_and_the_login_goes_on() {
    let (seen, end) = run(Passed::ToEnroll, &["", "right", ""]);
    let expected = [BEGIN, "offer", CONFIRM, "install", DONE, "codes", "keep", "notices"];
    assert_eq!(
        (seen.iter().map(String::as_str).collect::<Vec<_>>(), end),
        (expected.to_vec(), End::Enrolled)
    );
}

#[test]
fn where_nobody_answers_no_secret_is_made_and_nobody_gets_in() {
    let (seen, end) = run(Passed::ToEnroll, &[]);
    let expected = [BEGIN, "CannotAsk", "give back"].map(String::from).to_vec();
    assert_eq!((seen, end), (expected, End::Denied));
}

#[test]
fn once_the_user_has_answered_no_use_of_the_code_is_given_back() {
    for answers in [&["n"][..], &[""], &["", "123456"]] {
        let (seen, end) = run(Passed::ToEnroll, answers);
        assert!(end == End::Denied && !seen.contains(&"give back".into()), "{seen:?}");
    }
}

#[test]
fn whoever_declines_an_open_enrollment_is_shown_nothing_and_does_not_get_in() {
    for no in ["n", "No "] {
        let (seen, end) = run(Passed::ToEnroll, &[no]);
        assert_eq!((seen, end), ([BEGIN, "NotCompleted"].map(String::from).to_vec(), End::Denied));
    }
}

#[test]
fn three_wrong_codes_or_none_leave_nothing_behind() {
    for answers in [&["", "1", "2", "3"][..], &["", "1"], &[""]] {
        let (seen, end) = run(Passed::ToEnroll, answers);
        assert_eq!(end, End::Denied);
        assert!(!seen.iter().any(|step| step == "install" || step == "codes"), "{seen:?}");
        assert_eq!(seen[seen.len() - 2..], ["NotCompleted", NOTHING].map(String::from));
    }
}

#[test]
fn a_right_third_code_confirms() {
    let (seen, end) = run(Passed::ToEnroll, &["", "1", "ascii", "2", "right", ""]);
    assert_eq!(end, End::Enrolled);
    assert_eq!(seen.iter().filter(|step| *step == "explain").count(), 2);
    assert!(seen.contains(&CONFIRM.replace("show", "ascii")), "{seen:?}");
}

#[test]
fn what_cannot_be_offered_is_not_shown() {
    for failed in [Failed::Changed, Failed::Trouble] {
        let world = World { offered: Err(failed), ..World::answering(&["", "right"]) };
        let (seen, end) = world.run(Passed::ToEnroll, SETTINGS);
        assert_eq!((seen.len(), end), (3, End::Denied), "{seen:?}");
    }
}

#[test]
fn what_cannot_be_installed_is_denied() {
    for failed in [Failed::Changed, Failed::Trouble] {
        let world = World { installed: Err(failed), ..World::answering(&["", "right", ""]) };
        let (seen, end) = world.run(Passed::ToEnroll, SETTINGS);
        assert_eq!(end, End::Denied);
        assert!(seen.last().unwrap().starts_with("Not set up: "), "{seen:?}");
    }
}

#[test]
fn codes_that_nobody_noted_are_void_and_the_enrollment_stands() {
    let (seen, end) = run(Passed::ToEnroll, &["", "right"]);
    assert_eq!(end, End::Enrolled);
    assert!(!seen.contains(&"keep".into()) && seen.contains(&"NotNoted".into()), "{seen:?}");
}

#[test]
fn codes_that_could_not_be_stored_are_said_to_be_void() {
    let world = World { kept: false, ..World::answering(&["", "right", ""]) };
    let (seen, end) = world.run(Passed::ToEnroll, SETTINGS);
    assert_eq!(end, End::Enrolled);
    assert!(seen.iter().any(|step| step.contains("is not valid")), "{seen:?}");
}

#[test]
fn without_recovery_codes_none_are_shown() {
    let settings = Settings { codes: Codes::Off, ..SETTINGS };
    let (seen, end) = World::answering(&["", "right"]).run(Passed::ToEnroll, settings);
    assert_eq!(end, End::Enrolled);
    assert!(!seen.contains(&"codes".into()), "{seen:?}");
}

#[test]
fn what_may_be_put_off_is_put_off_with_enter() {
    for answers in [&[""][..], &["n"], &["123456"]] {
        let (seen, end) = run(Passed::MayEnroll { days: 3 }, answers);
        let expected = ["Two-factor login is required in 3 days.", "notices"].map(String::from);
        assert_eq!((seen, end), (expected.to_vec(), End::Ignore));
    }
}

#[test]
fn where_nobody_answers_it_is_put_off_and_logged() {
    let (seen, end) = run(Passed::MayEnroll { days: 1 }, &[]);
    let expected = ["Two-factor login is required after today.", "CannotAskYet", "notices"];
    assert_eq!((seen, end), (expected.map(String::from).to_vec(), End::Ignore));
}

#[test]
fn with_yes_it_is_done_at_once_or_stays_put_off() {
    let (seen, end) = run(Passed::MayEnroll { days: 3 }, &["y", "right", ""]);
    assert!(end == End::Enrolled && seen.contains(&"keep".into()), "{seen:?}");
    let (seen, end) = run(Passed::MayEnroll { days: 3 }, &["yes", "1", "2", "3"]);
    assert!(end == End::Ignore && seen.contains(&NOTHING.into()), "{seen:?}");
}

#[test]
fn after_a_code_notices_are_shown_and_that_is_all() {
    let by = [phone(), By::Bypass, By::Text];
    for passed in by.map(code).into_iter().chain([Passed::Remembered]) {
        assert_eq!(run(passed, &[]), (["notices".into()].to_vec(), End::Ignore));
    }
}

#[test]
fn a_phone_is_replaced_after_a_code_of_it_and_recovery_codes_stay() {
    let passed = Passed::Code { by: phone(), wants_new: true, next_due: false, remember: None };
    let (seen, end) = run(passed.clone(), &["", "right"]);
    let expected =
        ["notices", "Press Enter to set up the new phone;", "offer", CONFIRM, "install", DONE];
    assert_eq!((seen, end), (expected.map(String::from).to_vec(), End::Ignore));
    for answers in [&["n"][..], &[], &["", "1", "2", "3"]] {
        let (seen, end) = run(passed.clone(), answers);
        assert!(end == End::Ignore && !seen.contains(&"install".into()), "{seen:?}");
    }
}

#[test]
fn a_lost_phone_is_replaced_after_a_recovery_code_and_fresh_codes_are_shown() {
    let by = || By::Recovery { left: 2, due: false };
    let (seen, end) = run(code(by()), &["y", "right", ""]);
    assert_eq!(end, End::Ignore);
    assert!(seen.contains(&"install".into()) && seen.contains(&"keep".into()), "{seen:?}");
    assert!(!seen.iter().any(|step| step.contains("left")), "{seen:?}");
    let wanted = Passed::Code { by: by(), wants_new: true, next_due: true, remember: None };
    let (seen, _) = run(wanted, &["", "right", ""]);
    assert!(seen.contains(&"keep".into()) && !seen.contains(&"next code".into()), "{seen:?}");
}

#[test]
fn whoever_declines_after_a_recovery_code_hears_how_many_are_left() {
    for (left, text) in [(3, "3 recovery codes are left."), (1, "One"), (0, "That was your last")] {
        let (seen, end) = run(code(By::Recovery { left, due: false }), &[""]);
        assert_eq!(end, End::Ignore);
        assert!(seen.last().unwrap().starts_with(text), "{seen:?}");
        assert_eq!(left < 2, seen.last().unwrap().contains("totp-admin recovery-codes"));
    }
}

#[test]
fn a_bypass_code_or_a_text_message_replaces_no_phone() {
    for by in [By::Bypass, By::Text] {
        let passed = Passed::Code { by, wants_new: true, next_due: false, remember: None };
        let (seen, end) = run(passed, &["", "right"]);
        assert!(end == End::Ignore && !seen.contains(&"offer".into()), "{seen:?}");
    }
}

#[test]
fn the_next_recovery_code_is_valid_once_it_is_noted() {
    let due = |by| Passed::Code { by, wants_new: false, next_due: true, remember: None };
    let (seen, end) = run(due(phone()), &[""]);
    assert_eq!(
        (seen, end),
        (["notices", "next code", "keep"].map(String::from).to_vec(), End::Ignore)
    );
    let (seen, end) = run(due(phone()), &[]);
    assert_eq!(
        (seen, end),
        (["notices", "next code", "NotNoted"].map(String::from).to_vec(), End::Ignore)
    );
    // After a recovery code, where no question is answered, none is shown either.
    let (seen, _) = run(due(By::Recovery { left: 0, due: true }), &[]);
    assert!(!seen.contains(&"next code".into()), "{seen:?}");
    let (seen, _) = run(due(By::Recovery { left: 0, due: true }), &["", ""]);
    assert!(seen.contains(&"keep".into()) && !seen.iter().any(|s| s.contains("last")), "{seen:?}");
}

#[test]
fn a_device_is_remembered_after_a_code_of_an_authenticator_where_that_is_wanted() {
    let with = |by| Passed::Code { by, wants_new: false, next_due: false, remember: Some(30) };
    let question = "Remember this device for 30 days?";
    let (seen, end) = run(with(phone()), &["Y"]);
    assert_eq!(end, End::Ignore);
    let expected = ["notices", question, "remember", "This device is remembered."];
    assert_eq!(seen, expected.map(String::from));
    for answers in [&[""][..], &["n"], &[]] {
        assert_eq!(run(with(phone()), answers).0, ["notices", question].map(String::from));
    }
    for by in [By::Text, By::Bypass] {
        assert_eq!(run(with(by), &["y"]).0, ["notices"].map(String::from));
    }
    let world = World { remembered: false, ..World::answering(&["y"]) };
    let (seen, end) = world.run(with(phone()), SETTINGS);
    assert!(end == End::Ignore && seen.last().unwrap().contains("could not"), "{seen:?}");
}

#[test]
fn whoever_says_nothing_of_a_step_lets_nobody_in() {
    let mut account = Account::new(Passed::ToEnroll, SETTINGS);
    let _ = account.next(NOW);
    assert!(matches!(account.next(NOW), Next::Done(End::Denied)));
    assert!(matches!(account.next(NOW), Next::Done(End::Denied)));
}

#[test]
fn recovery_codes_that_cannot_be_made_are_not_asked_about_and_the_enrollment_stands() {
    let world = World { made: false, ..World::answering(&["", "right"]) };
    let (seen, end) = world.run(Passed::ToEnroll, SETTINGS);
    assert_eq!(end, End::Enrolled);
    assert!(seen.iter().any(|step| step.starts_with("That could not be stored")), "{seen:?}");
    assert!(!seen.contains(&"NotNoted".into()), "{seen:?}");
}

fn not_private(passed: Passed, display: Display, answers: &[&'static str]) -> (Vec<String>, End) {
    let enroll_in = ["sshd".to_string(), "login".to_string()].to_vec();
    World::answering(answers).run(passed, Settings { display, enroll_in, ..SETTINGS })
}

const NOT_PRIVATE: [Display; 2] = [Display::NotListed, Display::Redirected];

fn shows_something(seen: &[String]) -> bool {
    seen.iter()
        .any(|step| ["offer", "show", "ascii", "codes", "next code"].contains(&step.as_str()))
}

#[test]
fn an_enrollment_that_is_due_is_denied_where_others_may_see_the_key_and_says_so_in_a_prompt() {
    for display in NOT_PRIVATE {
        // Also where nobody answers, as programs do that don't show prompts.
        for answers in [&["y"][..], &[""], &[]] {
            let (seen, end) = not_private(Passed::ToEnroll, display, answers);
            let expected = [format!("NotHere({display:?})"), BEGIN.into()];
            assert_eq!((seen, end), (expected.to_vec(), End::Denied));
        }
    }
}

#[test]
fn the_prompt_names_where_to_enroll_instead() {
    let asked = |display, enroll_in: &[&str]| {
        let enroll_in = enroll_in.iter().map(ToString::to_string).collect();
        let mut account =
            Account::new(Passed::ToEnroll, Settings { display, enroll_in, ..SETTINGS });
        let _log = account.next(NOW);
        match account.next(NOW) {
            Next::Ask(question) => question,
            other => panic!("{other:?}"),
        }
    };
    let listed = asked(Display::NotListed, &["sshd", "login"]);
    assert!(listed.contains("log in at one of these first: sshd, login."), "{listed}");
    assert!(asked(Display::NotListed, &[]).contains("ask an administrator"));
    let redirected = asked(Display::Redirected, &["su"]);
    assert!(redirected.contains("repeat this without redirecting its output"), "{redirected}");
    assert!(listed.len() < 512 && redirected.len() < 512);
}

#[test]
fn an_enrollment_that_may_be_put_off_is_not_offered_where_others_may_see_the_key() {
    for display in NOT_PRIVATE {
        let (seen, end) = not_private(Passed::MayEnroll { days: 3 }, display, &["y", "right", ""]);
        let expected = [format!("NotShown({display:?})"), "notices".into()];
        assert_eq!((seen, end), (expected.to_vec(), End::Ignore));
    }
}

#[test]
fn no_phone_is_replaced_where_others_may_see_the_key() {
    for display in NOT_PRIVATE {
        for by in [phone(), By::Recovery { left: 2, due: false }] {
            let new = Passed::Code { by, wants_new: true, next_due: false, remember: None };
            let (seen, end) = not_private(new, display, &["", "right", ""]);
            assert!(end == End::Ignore && !shows_something(&seen), "{seen:?}");
            assert!(seen.iter().any(|step| step.starts_with("No phone can be set up here.")));
        }
        let (seen, _) = not_private(code(By::Recovery { left: 2, due: false }), display, &["y"]);
        assert_eq!(seen, ["notices", "2 recovery codes are left."].map(String::from));
    }
}

#[test]
fn the_next_recovery_code_stays_due_where_others_may_see_it() {
    for by in [phone(), By::Recovery { left: 0, due: true }] {
        let due = Passed::Code { by, wants_new: false, next_due: true, remember: None };
        let (seen, end) = not_private(due, Display::NotListed, &["", ""]);
        assert!(end == End::Ignore && !shows_something(&seen), "{seen:?}");
        assert!(seen.last().unwrap().starts_with("Your next recovery code is not shown yet."));
    }
}

#[test]
fn recovery_codes_stand_in_the_prompt_that_asks_whether_they_are_noted() {
    let codes = [OneTimeCode::fresh(&[1; 16]), OneTimeCode::fresh(&[2; 16])];
    let text = all_codes(Codes::Several, &codes);
    assert!(text.ends_with(&format!("  {}\n{KEEP}\n{NOTED}", codes[1].shown().as_str())));
    let sixteen: Vec<OneTimeCode> = (0..16).map(|n| OneTimeCode::fresh(&[n; 16])).collect();
    for kind in [Codes::Several, Codes::Rotating] {
        assert!(all_codes(kind, &sixteen).len() <= MOST_TEXT, "wiped whole");
    }
}

#[test]
fn the_log_names_the_service_the_reason_and_the_remedy() {
    let line = Remark::NotHere(Display::NotListed).line("bob", "cockpit x");
    assert!(line.starts_with(
        "bob has to enroll and can't here: the service cockpit\\x20x is not in enroll_in"
    ));
    let line = Remark::NotShown(Display::Redirected).line("bob", "su");
    assert!(line.contains("standard output or standard error of su is not a terminal"), "{line}");
    assert!(Remark::NotShown(Display::NotListed).is_routine());
    assert!(!Remark::NotHere(Display::NotListed).is_routine());
}

#[test]
fn every_prompt_is_a_pam_message_whole() {
    let code = "K7QM-2XVA-9TRC-HW4E";
    for text in
        [START, START_NEW, START_OVER, OFFER, NOTED, KEEP, &may_enroll(300), &next_code(code)]
    {
        assert!(text.len() < 512 && text.is_ascii(), "{text}");
    }
}
