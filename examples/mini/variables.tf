# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0

variable "image" {
  description = "Folder of the node image; null takes the newest that `constellation image build` made."
  type        = string
  default     = null
}

variable "workers" {
  description = "How many workers."
  type        = number
  default     = 1

  validation {
    condition     = var.workers >= 0 && var.workers <= 32
    error_message = "Expected 0 to 32 workers."
  }
}
