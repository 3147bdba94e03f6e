//! Text messages: handed to the program that the configuration names.

use std::time::Duration;

use totp_core::policy::SmsKeys;
use totp_store::outbox::Message;
use zeroize::Zeroizing;

use crate::program::{Output, Work};

const PHONE: &str = "{phone}";
const TEXT: &str = "{text}";

/// The environment variable with the number, for a program that wants neither in the process list.
const PHONE_VARIABLE: &str = "PAM_TOTP_PHONE";

/// Why a text message was not sent, in one line, without the number and without the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The program says so: it can be tried again.
    No(String),
    /// The program was killed: nobody knows, and it is never sent twice.
    Unknown(String),
}

/// Sends a text message. Where no argument of the program has the text, it gets it on standard input. The number is in an
/// environment variable too, which other users of the machine can't see, unlike arguments.
///
/// # Errors
/// [`NotSent`] says why.
pub fn send(keys: &SmsKeys, message: &Message) -> Result<(), NotSent> {
    let Some((program, arguments)) = keys.command.parts() else {
        let why = "no program sends text messages: set command in [sms]";
        return Err(NotSent::No(why.to_owned()));
    };
    let arguments: Vec<&str> = arguments.collect();
    let by_argument = arguments.iter().any(|argument| argument.contains(TEXT));
    let filled: Vec<Zeroizing<String>> =
        arguments.iter().map(|argument| filled(argument, message)).collect();
    let input = if by_argument { "" } else { message.text.as_str() };
    let arguments = filled.iter().map(|argument| argument.as_str());
    let timeout = Duration::from_secs(keys.timeout.get());
    let variables = [(PHONE_VARIABLE, message.phone.as_str())];
    let work =
        Work { program, input: input.as_bytes(), variables: &variables, output: Output::Secret };
    work.run(arguments, timeout).map_err(|failure| {
        let why = format!("{program} {failure}");
        if failure.is_an_answer() { NotSent::No(why) } else { NotSent::Unknown(why) }
    })
}

/// Both are put in at once: what a text says is not looked at for another placeholder.
fn filled(argument: &str, message: &Message) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(1024));
    let mut rest = argument;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix(PHONE) {
            out.push_str(message.phone.as_str());
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix(TEXT) {
            out.push_str(&message.text);
            rest = behind;
        } else {
            let mut characters = rest.chars();
            out.extend(characters.next());
            rest = characters.as_str();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use totp_core::policy::Config;
    use totp_core::time::UnixTime;

    use super::*;

    fn message(text: &str) -> Message {
        let phone = "+420123456789".parse().unwrap();
        Message::new("bob".to_owned(), phone, Zeroizing::new(text.to_owned()), UnixTime(0))
    }

    fn keys(command: &str) -> SmsKeys {
        Config::parse(&format!("[sms]\ncommand = {command}\ntimeout = 20")).unwrap().sms
    }

    #[test]
    fn number_and_text_are_put_in_without_a_shell() {
        let temp = tempfile::tempdir().unwrap();
        let script = format!("printf '%s|' \"$@\" >{}/got; cat >>{0}/got", temp.path().display());
        let odd = "your code: 123456; $(id) {phone}";
        for (arguments, got) in [
            (r#""--to={phone}", "-m", "{text}""#, format!("--to=+420123456789|-m|{odd}|")),
            (r#""{phone}""#, format!("+420123456789|{odd}")),
        ] {
            let command = format!("[\"/bin/sh\", \"-c\", {script:?}, \"sh\", {arguments}]");
            send(&keys(&command), &message(odd)).unwrap();
            assert_eq!(std::fs::read_to_string(temp.path().join("got")).unwrap(), got);
        }
    }

    #[test]
    fn a_program_can_do_without_anything_in_its_arguments() {
        let temp = tempfile::tempdir().unwrap();
        let script = format!("{{ echo $PAM_TOTP_PHONE; cat; }} >{}/got", temp.path().display());
        send(&keys(&format!("[\"/bin/sh\", \"-c\", {script:?}]")), &message("123456")).unwrap();
        let got = std::fs::read_to_string(temp.path().join("got")).unwrap();
        assert_eq!(got, "+420123456789\n123456");
    }

    #[test]
    fn neither_code_nor_number_is_in_an_error() {
        let command = r#"["/bin/sh", "-c", "echo $1 $2 >&2; exit 4", "sh", "{phone}", "{text}"]"#;
        let error = send(&keys(command), &message("123456")).unwrap_err();
        assert_eq!(error, NotSent::No("/bin/sh failed with exit status 4".to_owned()));
        let none = send(&SmsKeys::default(), &message("x")).unwrap_err();
        assert!(matches!(none, NotSent::No(why) if why.contains("[sms]")));
        assert_eq!(crate::contacts::masked(&message("x").phone), "…789");
    }
}
