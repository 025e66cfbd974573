// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

module components.internal/pause

go 1.26.0
