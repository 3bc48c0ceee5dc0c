//! The server alone, for clients that are not ours: `scripts/check_hub.sh`.
