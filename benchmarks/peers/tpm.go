// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/google/go-tpm-tools/proto/tpm"
	"github.com/google/go-tpm-tools/quote"
	"github.com/google/go-tpm/legacy/tpm2"
)

// quoteFile is a quote as JSON; all bytes are hexadecimal.
type quoteFile struct {
	Public    string            `json:"public"` // TPMT_PUBLIC of the attestation key
	Attest    string            `json:"attest"` // TPMS_ATTEST
	Signature string            `json:"sig"`    // TPMT_SIGNATURE
	Nonce     string            `json:"nonce"`
	Registers map[string]string `json:"pcrs"` // SHA-256 bank
}

// tpmQuote verifies a quote by a known key: signature, nonce, selection and digest of the registers.
func tpmQuote(files []string, _ time.Time) (verification, error) {
	contents, err := readFiles(files, 1)
	if err != nil {
		return nil, err
	}
	var file quoteFile
	if err := json.Unmarshal(contents[0], &file); err != nil {
		return nil, err
	}
	public, quoted, nonce, err := file.decode()
	if err != nil {
		return nil, err
	}
	area, err := tpm2.DecodePublic(public)
	if err != nil {
		return nil, err
	}
	key, err := area.Key()
	if err != nil {
		return nil, err
	}
	return func() error { return quote.Verify(quoted, key, nonce) }, nil
}

// decode turns hexadecimal text into the public area, the quote with its registers, and the nonce.
func (file quoteFile) decode() (public []byte, quoted *tpm.Quote, nonce []byte, err error) {
	var attest, signature []byte
	for text, target := range map[string]*[]byte{
		file.Public: &public, file.Attest: &attest, file.Signature: &signature, file.Nonce: &nonce,
	} {
		if *target, err = hex.DecodeString(text); err != nil {
			return nil, nil, nil, err
		}
	}
	registers, err := file.registers()
	if err != nil {
		return nil, nil, nil, err
	}
	return public, &tpm.Quote{Quote: attest, RawSig: signature, Pcrs: registers}, nonce, nil
}

func (file quoteFile) registers() (*tpm.PCRs, error) {
	bank := &tpm.PCRs{Hash: tpm.HashAlgo_SHA256, Pcrs: map[uint32][]byte{}}
	for name, text := range file.Registers {
		index, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("register %q: %w", name, err)
		}
		if bank.Pcrs[uint32(index)], err = hex.DecodeString(text); err != nil {
			return nil, fmt.Errorf("register %q: %w", name, err)
		}
	}
	return bank, nil
}
