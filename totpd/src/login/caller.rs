//! What the program that calls may ask about: root's about any user; one of a service account that `[callers]` names about the
//! users of its list; any other about the account that it runs as. A service that asks about its own account asks for a client,
//! who may be anybody: that account is one of its list, or none.

use totp_core::coverage::Unresolved;
use totp_core::evaluate::Reason;
use totp_core::policy::Config;
use totp_core::route::Skip;
use totp_core::store::Found;
use totp_store::coverage::{self, Allowance};

use super::Logins;
use super::auth::Asked;
use super::facts::{Facts, Word};
use super::host::{Host, Priority};
use super::judge::Against;
use super::person::Person;
use crate::request::{Caller, Request};

/// How the caller of a login stands to its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A program of root.
    Root,
    /// A program that runs as the user, and is no service.
    Own,
    /// A program of a service account that `[callers]` allows this user.
    Allowed,
    /// A program of any other user.
    Stranger,
}

impl Standing {
    /// Whether `nullok` on the line of this program counts. A service writes its line itself, and could pass over users who are to be
    /// challenged; a user's own program could let its user in without asking us.
    pub(crate) fn may_say_nullok(self) -> bool {
        matches!(self, Self::Root | Self::Own)
    }

    /// Finds out, and adds to `facts` what a program that `[callers]` names says. The log names what does not resolve where that
    /// may be why a program is not allowed this user.
    pub(crate) fn of(
        host: &dyn Host,
        request: &Request,
        person: &Person,
        config: &Config,
        logins: &Logins,
        facts: &mut Facts,
    ) -> Self {
        let Caller::User { uid } = request.caller else { return Self::Root };
        let is_own = person.uid() == Some(uid);
        let Allowance { named, covers, unresolved } =
            coverage::allowance(config, uid, person.account());
        logins.services.note(uid, named.is_some());
        if is_own && named.is_none() {
            return Self::Own;
        }
        if !covers {
            unresolved.iter().for_each(|one| log(host, one));
        }
        facts.word = named.map(|caller| Word {
            caller: caller.as_str().to_owned(),
            rhost: request.rhost_said.clone(),
        });
        if covers { Self::Allowed } else { Self::Stranger }
    }

    /// What becomes of a login by a caller who stands so. About a user whom it is not allowed it gets the same prompts, and a
    /// refusal; and no program but root's enrolls.
    pub(crate) fn limit(self, asked: Asked) -> Asked {
        match (self, asked) {
            (Self::Root, asked) => asked,
            (Self::Stranger, _) => Asked::Yes(Against::Decoy(Reason::Caller)),
            (
                Self::Own | Self::Allowed,
                Asked::Not(Skip::ToEnroll(_)) | Asked::Yes(Against::Own(Found::Pending(_), _)),
            ) => Asked::Yes(Against::Decoy(Reason::NotEnrolled)),
            (Self::Own | Self::Allowed, asked) => asked,
        }
    }
}

fn log(host: &dyn Host, unresolved: &Unresolved) {
    let priority = match unresolved {
        Unresolved::Caller { why: Some(_), .. } => Priority::Error,
        _ => Priority::Warning,
    };
    host.log(priority, &unresolved.to_string());
}

#[cfg(test)]
mod tests {
    use totp_core::policy::Config;

    use super::*;
    use crate::login::host::script::Script;
    use crate::request::tests::sshd;

    const DAEMON: u32 = 1;
    const BIN: u32 = 2;

    /// How a program of this uid stands to `bin`, its facts, what the log says, and whether it is a service.
    fn standing(allow: &str, uid: u32) -> (Standing, Facts, Vec<String>, bool) {
        let config = Config::parse(&format!("[callers]\nallow = {allow}")).expect("valid");
        let caller = if uid == 0 { Caller::Root { real_uid: 0 } } else { Caller::User { uid } };
        let request = Request {
            caller,
            rhost: String::new(),
            rhost_said: "203.0.113.7".to_owned(),
            ..sshd()
        };
        let (host, logins) = (Script::default(), Logins::default());
        let mut facts = Facts::of(&request);
        let person = Person::identify(b"bin", &config, "sshd", &facts.rhost).expect("an answer");
        let found = Standing::of(&host, &request, &person, &config, &logins, &mut facts);
        let said = host.said.borrow().clone();
        (found, facts, said, logins.services.include(uid))
    }

    #[test]
    fn a_program_is_allowed_the_users_of_its_list_and_its_word_is_shown() {
        let (found, facts, said, is_service) = standing("{ daemon = [\"bin\"] }", DAEMON);
        assert_eq!((found, is_service), (Standing::Allowed, true));
        assert_eq!(facts.shown_rhost(), "203.0.113.7");
        assert_eq!(facts.rhost, "", "it is not believed");
        assert!(said.is_empty(), "{said:?}");
    }

    #[test]
    fn a_program_that_is_named_is_a_stranger_to_others_and_its_word_is_shown_all_the_same() {
        let (found, facts, _, is_service) = standing("{ daemon = [\"games\"] }", DAEMON);
        assert_eq!((found, is_service), (Standing::Stranger, true));
        assert_eq!(facts.shown_rhost(), "203.0.113.7");
    }

    #[test]
    fn a_program_that_is_not_named_is_a_stranger_whose_word_is_nothing() {
        let (found, facts, _, is_service) = standing("{ sys = [\"bin\"] }", DAEMON);
        assert_eq!((found, is_service), (Standing::Stranger, false));
        assert_eq!((facts.word.clone(), facts.shown_rhost()), (None, ""));
    }

    #[test]
    fn root_needs_no_list_and_a_users_own_program_has_none() {
        assert_eq!(standing("{}", 0).0, Standing::Root);
        let (found, facts, ..) = standing("{ daemon = [\"bin\"] }", BIN);
        assert_eq!((found, facts.word), (Standing::Own, None));
    }

    #[test]
    fn a_service_asks_about_its_own_account_where_that_is_on_its_list_and_as_about_any_other() {
        let (found, facts, ..) = standing("{ bin = [\"bin\"] }", BIN);
        assert_eq!((found, facts.shown_rhost()), (Standing::Allowed, "203.0.113.7"));
        let (found, facts, ..) = standing("{ bin = [\"games\"] }", BIN);
        assert_eq!((found, facts.shown_rhost()), (Standing::Stranger, "203.0.113.7"));
    }

    #[test]
    fn nullok_counts_from_root_and_for_the_own_account_alone() {
        for (standing, counts) in [
            (Standing::Root, true),
            (Standing::Own, true),
            (Standing::Allowed, false),
            (Standing::Stranger, false),
        ] {
            assert_eq!(standing.may_say_nullok(), counts, "{standing:?}");
        }
    }

    #[test]
    fn the_log_names_what_does_not_exist_where_it_may_have_meant_this_program_or_user() {
        let (found, _, said, _) = standing("{ no-such-caller = [\"bin\"] }", DAEMON);
        assert_eq!(found, Standing::Stranger);
        assert!(said.iter().any(|line| line.contains("names the caller \"no-such-caller\"")));
        let allow = "{ daemon = [\"bin\", \"no-such-user\"] }";
        assert!(standing(allow, DAEMON).2.is_empty(), "it decides nothing");
    }
}
