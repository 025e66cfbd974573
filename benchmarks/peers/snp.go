// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/proto/sevsnp"
	"github.com/google/go-sev-guest/verify"
)

// snpChain verifies a report up to the embedded AMD root: parse, endorsement certificate, chain, signature.
//
// Files: the report of 1184 bytes and the certificate that signed it, in DER. Revocation and downloads are off.
func snpChain(files []string, at time.Time) (verification, error) {
	contents, err := readFiles(files, 2)
	if err != nil {
		return nil, err
	}
	return func() error {
		report, err := abi.ReportToProto(contents[0])
		if err != nil {
			return err
		}
		certificates, err := certificateChain(report, contents[1])
		if err != nil {
			return err
		}
		attestation := &sevsnp.Attestation{Report: report, CertificateChain: certificates}
		return verify.SnpAttestation(attestation, &verify.Options{DisableCertFetching: true, Now: at})
	}, nil
}

// certificateChain puts the endorsement certificate where its kind belongs.
func certificateChain(report *sevsnp.Report, certificate []byte) (*sevsnp.CertificateChain, error) {
	signer, err := abi.ParseSignerInfo(report.GetSignerInfo())
	if err != nil {
		return nil, err
	}
	if signer.SigningKey == abi.VlekReportSigner {
		return &sevsnp.CertificateChain{VlekCert: certificate}, nil
	}
	return &sevsnp.CertificateChain{VcekCert: certificate}, nil
}

// snpSignature verifies a report alone: the endorsement certificate was verified and parsed before.
func snpSignature(files []string, at time.Time) (verification, error) {
	contents, err := readFiles(files, 2)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(contents[1])
	if err != nil {
		return nil, fmt.Errorf("endorsement certificate: %w", err)
	}
	return func() error {
		report, err := abi.ReportToProto(contents[0])
		if err != nil {
			return err
		}
		return verify.SnpProtoReportSignature(report, certificate)
	}, nil
}
