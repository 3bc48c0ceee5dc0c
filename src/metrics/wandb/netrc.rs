//! `.netrc`: passwords by host, where `wandb login` keeps the key.

/// The password of this machine, else that of `default`.
pub(super) fn password(text: &str, machine: &str) -> Option<String> {
    let mut tokens = tokens(text).into_iter();
    let (mut here, mut is_default) = (false, false);
    let (mut own, mut default) = (None, None);
    while let Some(token) = tokens.next() {
        match token.as_str() {
            "machine" => (here, is_default) = (tokens.next().as_deref() == Some(machine), false),
            "default" => (here, is_default) = (false, true),
            "login" | "account" => drop(tokens.next()),
            "password" => match tokens.next() {
                password if here => own = password,
                password if is_default => default = password,
                _ => {}
            },
            _ => {}
        }
    }
    own.or(default).filter(|password| !password.is_empty())
}

/// Words, without quotes, comments and macros (from `macdef` to an empty line).
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut in_macro = false;
    for line in text.lines() {
        let line = line.trim();
        in_macro = (in_macro || line.starts_with("macdef")) && !line.is_empty();
        if !in_macro && !line.starts_with('#') {
            let words = line.split_whitespace();
            tokens.extend(words.map(|word| word.trim_matches(['"', '\'']).to_owned()));
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::password;

    #[test]
    fn the_machine_s_own_password_is_found() {
        let text = "# keys\nmachine other login user password no\nmacdef init\n  machine wandb.test password macro\n\n\
                    machine wandb.test:8080\n  login user\n  password \"sesame\"\n";
        assert_eq!(password(text, "wandb.test:8080").as_deref(), Some("sesame"));
        assert_eq!(password(text, "wandb.test"), None);
        let with_default = format!("{text}default login user password any\n");
        assert_eq!(password(&with_default, "x").as_deref(), Some("any"));
        assert_eq!(password(&with_default, "other").as_deref(), Some("no"));
    }
}
