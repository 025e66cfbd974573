// SPDX-FileCopyrightText: The Constellation authors
// SPDX-License-Identifier: Apache-2.0

// A trivial Terraform provider on HashiCorp's own framework, to measure ours beside: benchmarks/terraform.py.
// It has the same schema, and keeps what was planned.
package main

import (
	"context"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

type garden struct{}

func (garden) Metadata(_ context.Context, _ provider.MetadataRequest, response *provider.MetadataResponse) {
	response.TypeName = "garden"
}
func (garden) Schema(context.Context, provider.SchemaRequest, *provider.SchemaResponse)          {}
func (garden) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {}
func (garden) DataSources(context.Context) []func() datasource.DataSource                        { return nil }
func (garden) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{func() resource.Resource { return beds{} }}
}

type beds struct{}

type bed struct {
	ID     types.String `tfsdk:"id"`
	Name   types.String `tfsdk:"name"`
	Plants types.List   `tfsdk:"plants"`
}

func (beds) Metadata(_ context.Context, _ resource.MetadataRequest, response *resource.MetadataResponse) {
	response.TypeName = "garden_bed"
}

func (beds) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	keep := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	plant := schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
		"name":  schema.StringAttribute{Required: true},
		"count": schema.Int64Attribute{Optional: true, Computed: true, Default: int64default.StaticInt64(1)},
	}}
	response.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"id":     schema.StringAttribute{Computed: true, PlanModifiers: keep},
		"name":   schema.StringAttribute{Required: true},
		"plants": schema.ListNestedAttribute{Required: true, NestedObject: plant},
	}}
}

func (beds) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	var plan bed
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	plan.ID = types.StringValue("bed-" + plan.Name.ValueString())
	response.Diagnostics.Append(response.State.Set(ctx, &plan)...)
}

func (beds) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	var plan bed
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(response.State.Set(ctx, &plan)...)
}

func (beds) Read(context.Context, resource.ReadRequest, *resource.ReadResponse)       {}
func (beds) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}

func main() {
	options := providerserver.ServeOpts{Address: "registry.terraform.io/example/garden"}
	if err := providerserver.Serve(context.Background(), func() provider.Provider { return garden{} }, options); err != nil {
		log.Fatal(err)
	}
}
