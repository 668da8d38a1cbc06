//! The PSD from the outside: refusals in their order, registers against a model, records there and back.

mod certify;
mod device;
mod digital_token;
mod governance;
mod lifecycle;
mod model;
mod record;
mod refusals;
mod replay;
mod run;
mod voucher;
