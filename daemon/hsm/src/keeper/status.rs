//! What the keeper knows of its tokens, in one line for people.

/// How a token is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenStatus {
    /// Its worker is on the way.
    Starting,
    /// Its worker is inside C_Login or about to be.
    LoggingIn,
    /// Its worker serves psdd.
    Ready,
    /// A login did not succeed; an operator must clear the latch.
    Latched(String),
    /// Its worker ended, and another follows.
    Down(String),
    /// Its PIN is not here; operators must give their shares.
    Sealed {
        /// How many are in.
        held: u8,
        /// How many are needed.
        threshold: u8,
        /// Why no login will be tried even then, if an earlier one did not succeed.
        latch: Option<String>,
    },
}

impl TokenStatus {
    /// The status in words.
    pub fn words(&self) -> String {
        match self {
            TokenStatus::Starting => "starting".to_owned(),
            TokenStatus::LoggingIn => "logging in".to_owned(),
            TokenStatus::Ready => "ready".to_owned(),
            TokenStatus::Latched(reason) => format!("LATCHED ({reason})"),
            TokenStatus::Down(reason) => format!("down ({reason})"),
            TokenStatus::Sealed { held, threshold, latch: None } => format!("SEALED: {held} of {threshold} shares"),
            TokenStatus::Sealed { held, threshold, latch: Some(latch) } => {
                format!("SEALED: {held} of {threshold} shares, and LATCHED ({latch})")
            }
        }
    }
}

/// One token's new status.
pub struct Report {
    /// The place of the token in the configuration.
    pub index: usize,
    /// Its status.
    pub status: TokenStatus,
}

/// All tokens.
pub struct Board {
    tokens: Vec<(String, TokenStatus)>,
    note: Option<String>,
}

impl Board {
    /// Tokens of these names, all starting.
    pub fn new(names: Vec<String>) -> Self {
        Self { tokens: names.into_iter().map(|name| (name, TokenStatus::Starting)).collect(), note: None }
    }

    /// Enters a report, and logs it.
    pub fn enter(&mut self, report: Report) {
        let Some((name, status)) = self.tokens.get_mut(report.index) else { return };
        if *status != report.status {
            match &report.status {
                TokenStatus::Starting | TokenStatus::LoggingIn | TokenStatus::Ready => {
                    tracing::info!(token = %name, status = ?report.status, "worker");
                }
                TokenStatus::Sealed { .. } => tracing::warn!(token = %name, "{}", report.status.words()),
                TokenStatus::Latched(_) | TokenStatus::Down(_) => {
                    tracing::error!(token = %name, status = ?report.status, "worker");
                }
            }
            *status = report.status;
        }
    }

    /// Something to say beside the tokens.
    pub fn note(&mut self, note: Option<String>) {
        self.note = note;
    }

    /// Whether every token is served or waits for an operator.
    pub fn is_settled(&self) -> bool {
        self.tokens.iter().all(|(_, status)| match status {
            TokenStatus::Ready | TokenStatus::Latched(_) | TokenStatus::Sealed { .. } => true,
            TokenStatus::Starting | TokenStatus::LoggingIn | TokenStatus::Down(_) => false,
        })
    }

    /// One line.
    pub fn line(&self) -> String {
        let tokens = self.tokens.iter().map(|(name, status)| format!("{name} {}", status.words()));
        tokens.chain(self.note.clone()).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_is_settled_when_every_token_is_ready_or_latched() {
        let mut board = Board::new(vec!["a".to_owned(), "b".to_owned()]);
        assert!(!board.is_settled());
        board.enter(Report { index: 0, status: TokenStatus::Ready });
        assert!(!board.is_settled());
        board.enter(Report { index: 1, status: TokenStatus::Latched("wrong PIN".to_owned()) });
        assert!(board.is_settled());
        assert_eq!(board.line(), "a ready; b LATCHED (wrong PIN)");
        board.enter(Report { index: 0, status: TokenStatus::Down("exit 70".to_owned()) });
        assert!(!board.is_settled());
        board.enter(Report { index: 1, status: TokenStatus::Sealed { held: 1, threshold: 2, latch: None } });
        board.enter(Report { index: 0, status: TokenStatus::Ready });
        assert!(board.is_settled(), "systemd must not kill a keeper that waits for people");
        assert_eq!(board.line(), "a ready; b SEALED: 1 of 2 shares");
        board.note(Some("restart needed".to_owned()));
        assert_eq!(board.line(), "a ready; b SEALED: 1 of 2 shares; restart needed");
    }
}
