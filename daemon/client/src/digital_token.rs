//! Digital tokens that somebody read off a piece, judged by the holder of a key.

use crate::client::Client;
use crate::error::{ClientError, ContractError};
use crate::exchange::Call;
use psd::PsdId;
use psd::digital_token::Party;
use psdd_wire::message::{TokenQuery, TokenVerdict};

impl Client {
    /// Whether the vendor's half of a digital token holds, and whether the log has the token. It is the appliance's word.
    pub async fn judge_token(&self, query: &TokenQuery<'_>) -> Result<TokenVerdict, ClientError> {
        let floor = self.shared.checkpoints.floor();
        let call = Call::post("/v1/digital-tokens".to_owned(), psdd_wire::encode(query));
        let told: TokenVerdict = self.shared.exchange.ask(&call).await?;
        self.shared.checkpoints.judge(&floor, told.checkpoint.as_deref())?;
        is_verdict(query, Party::Vendor, &told)?;
        Ok(told)
    }
}

/// The verdict is on the half that this door judges, of the PSD that was asked about.
pub(crate) fn is_verdict(query: &TokenQuery<'_>, half: Party, told: &TokenVerdict) -> Result<(), ContractError> {
    let same = query.psd.parse::<PsdId>().is_ok_and(|asked| asked == told.psd) && told.half == half.as_str();
    if same {
        return Ok(());
    }
    let asked = format!("on the half {half} of {}", query.psd);
    Err(ContractError::OtherSubject { what: "the verdict", asked, told: format!("on {} of {}", told.half, told.psd) })
}
