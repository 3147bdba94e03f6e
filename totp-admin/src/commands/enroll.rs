//! `enroll`: shows a key, asks for a current code, and only then switches it on. The dialogue is totp-core's;
//! here it is put on the terminal. Until the last step nothing is changed: who breaks off has changed nothing.

mod at_login;
mod base;
mod display;
mod secret;

use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};
use totp_core::dialogue::enrollment::{End, Enrollment, Next, clocks};
use totp_core::name::AuthenticatorName;
use totp_core::otp::Totp;
use totp_core::otpauth;
use totp_core::secret::Secret;
use totp_core::state::TotpSpent;
use totp_core::time::Step;
use totp_store::entropy;

use self::base::Base;
use self::display::{Display, Interactive, Shown};
use self::secret::Parameters;
use crate::change::{Administrator, InPlace, Proof, UNSAID};
use crate::cli::Enroll;
use crate::codes::Issued;
use crate::opening::uncertain_or;
use crate::qr::picture::Picture;
use crate::site::{Site, Whom};
use crate::tell::Telling;
use crate::ui::{Advice, Ui, Usage};
use crate::{signals, times};

/// Enrolls.
pub fn run(ui: &Ui, site: impl FnOnce() -> Result<Site>, args: &Enroll) -> Result<()> {
    if args.at_login {
        return at_login::run(ui, &site()?, args);
    }
    if ui.json() && !args.no_confirm {
        bail!(Usage("--json needs --no-confirm: a document can't ask for a code".to_owned()));
    }
    let name = args.name.as_deref().unwrap_or(AuthenticatorName::DEFAULT);
    let name =
        AuthenticatorName::new(name).map_err(|error| Usage(format!("--name {name}: {error}")))?;
    let display = Display::new(args, ui.utf8())?;
    let site = &site()?;
    let whom = site.to_enroll(&args.user, args.no_account)?;
    site.not_renamed(&whom)?;
    site.not_anothers(&whom)?;
    let Some(base) = Base::of(site, &whom, args, &name)? else { return unchanged(ui, &whom) };
    site.not_for_an_account(&whom)?;
    let who = Administrator::here();
    who.not_out_of_own_denial(site, &whom, base.expected)?;
    let totp = totp(ui, site, args)?;
    base.refuse_same_secret(&totp, args)?;
    let proof = match base.weakens {
        true => who.prove_if_own(ui, site, &whom, base.entry())?,
        false => Proof::not_needed("there is no second factor yet"),
    };
    let issued = if args.add { Issued::none() } else { Issued::of(site, None)? };
    let shown = shown(site, args, &whom, &totp);
    let confirmed = if args.no_confirm {
        let picture = display.show(ui, whom.name.as_str(), &shown, None)?;
        Confirmed { picture, ..unconfirmed(site, args, &base, &totp) }
    } else {
        let elsewhere = base.elsewhere(&whom).filter(|_| ui.interactive());
        confirm(ui, site, &display, &whom, (&shown, elsewhere), &totp)?
    };
    let adds = !base.kept.is_empty();
    let secret = totp.secret.duplicate();
    let fresh = (name.clone(), totp, confirmed.spent);
    // Ctrl-C waits until the key is out: nobody else has it.
    let hold = signals::hold();
    let (recorded, _, uncertain) =
        InPlace::or_failed(base.install(site, (&who, proof), &whom, fresh, &issued))?;
    if let Some(picture) = confirmed.picture {
        picture.keep();
    }
    let keys = json!({
        "authenticator": name.as_str(),
        "kind": "totp",
        "secret": secret.to_base32().as_str(),
        "uri": shown.uri.as_str(),
        "recovery_codes": issued.listed(),
    });
    let how = confirmed.how;
    let what =
        if adds { format!("has another authenticator, {name}") } else { "is enrolled".to_owned() };
    let said = Telling::of(ui, site, &whom, recorded).conclude(keys, || {
        let _hold = hold;
        ui.done(format_args!("{whom} {what}; {how}."))?;
        issued.say(ui, &whom)
    });
    let (lost, again) = lost(ui, &whom, &issued);
    let said = recorded.told(said, lost, again);
    uncertain_or(said, uncertain, ui)?;
    ui.note(format_args!("  {}", who.signed(recorded)));
    Ok(())
}

/// What nobody has where the result could not be read, and what to do about it. A person has seen the key before; a
/// script has it from the document alone.
fn lost(ui: &Ui, whom: &Whom, issued: &Issued) -> (&'static str, String) {
    let anew = || format!("For another one: {} --replace", whom.enroll_command());
    match issued.lost(whom) {
        _ if ui.json() => ("the key was not shown", anew()),
        Some(lost) => lost,
        None => (UNSAID, anew()),
    }
}

/// A secret that was brought along for somebody who was enrolled before may be the one they had, and nobody knows what it was
/// used for (a tombstone has no secrets, a lost state no floors): codes that could have been used by now are not good
/// again. About a user of whom nothing is kept there is nothing to be careful of.
fn unconfirmed(site: &Site, args: &Enroll, base: &Base, totp: &Totp) -> Confirmed {
    let how = "no code has confirmed it".to_owned();
    if args.secret_file.is_none() || !base.may_have_used(totp) {
        return Confirmed { spent: TotpSpent::default(), how, picture: None };
    }
    let now = site.now();
    let floor = Step(totp.step(now).0.saturating_add(site.rules().window));
    let from = Step(floor.0.saturating_add(1)).start(totp.period);
    let spent = TotpSpent { floor, ..TotpSpent::default() };
    let how = format!("{how}; the first is accepted in {} s", from.since(now));
    Confirmed { spent, how, picture: None }
}

fn unchanged(ui: &Ui, whom: &Whom) -> Result<()> {
    ui.document(&json!({
        "user": whom.name.as_str(),
        "changed": false,
        "authenticator": Value::Null,
        "kind": Value::Null,
        "secret": Value::Null,
        "uri": Value::Null,
        "recovery_codes": [],
        "record": Value::Null,
    }))?;
    ui.done(format_args!("{whom} is enrolled already; nothing was changed"))
}

/// The new authenticator: with the secret that was brought along, or a fresh one.
fn totp(ui: &Ui, site: &Site, args: &Enroll) -> Result<Totp> {
    let configured = &site.config().totp;
    let configured = Parameters {
        digits: configured.digits(),
        period: configured.period(),
        algorithm: configured.algorithm.0,
    };
    let parameters = Parameters::new(args, configured)?;
    match &args.secret_file {
        Some(path) => secret::read(ui, args, path, parameters),
        None => Ok(parameters.with(Secret::fresh(&entropy::bytes()?))),
    }
}

fn shown(site: &Site, args: &Enroll, whom: &Whom, totp: &Totp) -> Shown {
    let configured = Some(site.config().totp.issuer.clone()).filter(|issuer| !issuer.is_empty());
    let issuer =
        args.issuer.clone().or(configured).or_else(totp_store::host_name).unwrap_or_default();
    let issuer = issuer.replace(':', "").trim().to_owned(); // a colon ends the issuer in an otpauth text
    let uri = otpauth::write(totp, &issuer, whom.name.as_str());
    // The issuer may have been shortened for the QR code: the app shows what is in there.
    let used = issuer_in(&uri, &issuer);
    let label = otpauth::label(used, whom.name.as_str());
    Shown { key: otpauth::key_to_type(&totp.secret), label, uri }
}

/// As much of the issuer as the otpauth text has: each of its characters is one there, or percent-encoded bytes.
fn issuer_in<'a>(uri: &str, issuer: &'a str) -> &'a str {
    let label = uri.strip_prefix("otpauth://totp/").and_then(|rest| rest.split_once('?'));
    let written =
        label.and_then(|(label, _)| label.split_once(':')).map_or("", |(issuer, _)| issuer);
    let bytes = written.len().saturating_sub(written.matches('%').count().saturating_mul(2));
    issuer.get(..bytes).unwrap_or(issuer)
}

/// A code of the new key was entered, or none was asked for.
struct Confirmed {
    spent: TotpSpent,
    /// What is said about it.
    how: String,
    picture: Option<Picture>,
}

fn confirm(
    ui: &Ui,
    site: &Site,
    display: &Display,
    whom: &Whom,
    (shown, elsewhere): (&Shown, Option<String>),
    totp: &Totp,
) -> Result<Confirmed> {
    let zone = times::zone();
    let mut dialogue = Enrollment::new(totp, site.rules().window, None);
    let mut picture = None;
    loop {
        match dialogue.next(site.now()) {
            Next::Show { ascii } => {
                let how = Interactive { ascii, elsewhere: elsewhere.as_deref() };
                let made = display.show(ui, whom.name.as_str(), shown, Some(how))?;
                picture = picture.or(made);
            }
            Next::Say(note) => {
                let now = site.now();
                ui.note(note.text(&|time| times::clock(time, now, &zone)));
            }
            Next::Ask(question) => {
                let typed = ui.ask(question.trim_end())?;
                let typed = typed.ok_or_else(|| anyhow!(nothing_changed(whom)))?;
                dialogue.reply(typed.as_bytes(), site.now());
            }
            Next::Done(End::Confirmed { spent, ahead }) => {
                return Ok(Confirmed { spent, how: clocks(ahead), picture });
            }
            Next::Done(End::GivenUp) => bail!(nothing_changed(whom)),
        }
    }
}

fn nothing_changed(whom: &Whom) -> Advice {
    Advice::new(
        format!("no right code was entered; {whom} is as before"),
        "Without anybody to enter one: --no-confirm.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(issuer: &str) -> String {
        let secret = Secret::fresh(&[7; Secret::FRESH]);
        let totp = Totp {
            secret,
            algorithm: totp_core::otp::Algorithm::Sha1,
            digits: totp_core::otp::Digits::Six,
            period: totp_core::time::Period::DEFAULT,
        };
        let uri = otpauth::write(&totp, issuer, "alice");
        issuer_in(&uri, issuer).to_owned()
    }

    #[test]
    fn the_label_has_as_much_of_the_issuer_as_the_code() {
        assert_eq!(label("web1"), "web1");
        assert_eq!(label("Bäckerei"), "Bäckerei");
        assert_eq!(label(""), "");
        let long = "a-very-long-host-name.of.some.department.example.com";
        assert!(long.starts_with(&label(long)) && (10..40).contains(&label(long).len()));
    }
}
