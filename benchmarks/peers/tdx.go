// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/x509"
	"errors"
	"time"

	"github.com/google/go-tdx-guest/verify"
)

// tdxQuote verifies a quote up to Intel's root: PCK chain, quoting enclave, signature. No collateral.
//
// Files: the quote, and the root certificate in PEM. The library embeds the same root, but logs a warning per quote
// when it uses that one, and the warning would be measured.
func tdxQuote(files []string, at time.Time) (verification, error) {
	contents, err := readFiles(files, 2)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(contents[1]) {
		return nil, errors.New("no root certificate in " + files[1])
	}
	return func() error {
		return verify.RawTdxQuote(contents[0], &verify.Options{TrustedRoots: roots, Now: &verify.TimeSet{PckCertChain: at}})
	}, nil
}
